import type { Selectable } from "kysely";
import type { Tables } from "../../platform/database/database.ts";

declare module "../../platform/database/database.ts" {
  interface Tables {
    /** What an account's one-time codes are made of. It counts once `accounts.second_factor` says so. */
    second_factors: {
      readonly account_id: string;
      readonly sealed_secret: string;
      /** Of the last code that was used. */
      readonly last_step: number;
    };
    /** Each opens once, in place of a one-time code; a keyed hash. */
    recovery_codes: { readonly account_id: string; readonly code_hash: string };
  }
}

export type SecondFactorRow = Selectable<Tables["second_factors"]>;
