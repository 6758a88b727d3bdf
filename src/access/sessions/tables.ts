import type { Selectable } from "kysely";
import type { Tables } from "../../platform/database/database.ts";

declare module "../../platform/database/database.ts" {
  interface Tables {
    /** Who has signed in to the API and its pages, by a cookie. */
    sessions: {
      /** Public; the rest of the cookie's secret is hashed. */
      readonly id: string;
      readonly secret_hash: string;
      readonly account_id: string;
      readonly account_epoch: number;
      readonly created_at: number;
      /** Written once a minute at most, and not for what a page asks by itself. */
      readonly active_at: number;
      /** Whatever is done with it. */
      readonly expires_at: number;
    };
  }
}

export type SessionRow = Selectable<Tables["sessions"]>;
