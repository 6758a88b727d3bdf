import type { Generated } from "kysely";

declare module "../database/database.ts" {
  interface Tables {
    /** Work that is done again and again, by one process at a time: each has one row, and is in the queue once at most. */
    jobs: {
      readonly name: string;
      readonly run_at: number;
      /** The process that runs it, and until when it is believed without a sign of life. */
      readonly holder: string | null;
      readonly held_until: Generated<number>;
      readonly started_at: number | null;
      readonly ended_at: number | null;
      /** Where the run stands, or how it ended. */
      readonly progress: string | null;
      /** Of the last run. */
      readonly error: string | null;
      /** One after the other; a run that goes well begins again at 0. */
      readonly failures: Generated<number>;
      readonly runs: Generated<number>;
      readonly failed_runs: Generated<number>;
    };
  }
}
