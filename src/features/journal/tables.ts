import type { Generated } from "kysely";

declare module "../../platform/database/database.ts" {
  interface Tables {
    /** One row. */
    journal_state: {
      readonly id: number;
      /** Whose journal it is: random, made once, and in every document. */
      readonly registry: string;
      /** A journal without a gap, from its first snapshot on; when it breaks off, the next one begins. */
      readonly epoch: number;
      /** Where the newest segment of the epoch begins; 0 before the first. */
      readonly last_segment: number;
      /** Numbers that were given to snapshots. */
      readonly snapshots: number;
      /** Of the newest finished snapshot: 0 before the first of the epoch. */
      readonly snapshot_number: number;
      readonly snapshot_to: number;
      readonly snapshot_at: number;
      /** 1 from the first row of a rebuild to its last: no server runs on half a registry. */
      readonly rebuilding: Generated<number>;
    };
  }
}
