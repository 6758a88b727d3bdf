import type { Selectable } from "kysely";
import type { Tables } from "../../platform/database/database.ts";

declare module "../../platform/database/database.ts" {
  interface Tables {
    /** What one principal has moved in and out of one repository on one day, by the token that it showed. */
    usage_days: {
      /** In UTC, `2026-11-29`. */
      readonly day: string;
      readonly repository: string;
      readonly principal_kind: string;
      /** Empty for those who have not signed in. */
      readonly principal_id: string;
      /** As it was called then. */
      readonly principal_name: string;
      /** Of a personal token or robot secret; empty without one. */
      readonly token_id: string;
      readonly pulls: number;
      readonly pulled_bytes: number;
      readonly pushes: number;
      readonly pushed_bytes: number;
    };
  }
}

export type UsageRow = Selectable<Tables["usage_days"]>;
