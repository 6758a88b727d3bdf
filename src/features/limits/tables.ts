import type { Tables } from "../../platform/database/database.ts";

declare module "../../platform/database/database.ts" {
  interface Tables {
    /** How often one source has pulled in the time that began with the first of these pulls. */
    pull_counts: {
      /** A network, an account's or a robot's id, each behind the kind that it is. */
      readonly source: string;
      readonly started_at: number;
      readonly pulls: number;
    };
  }
}

export type PullCountRow = Tables["pull_counts"];
