import type { Database } from "../../platform/database/database.ts";
import type { Job } from "../../platform/jobs/run-jobs.ts";
import { hasEndedWindows, sweepPulls } from "./stored-counts.ts";

/** Forgets windows that are over: whoever comes back begins a new one. */
export const pullLimitsJob = (database: Database, windowMs: number): Job => ({
  name: "pull-counts",
  everyMs: 600_000,
  hasWork: () => hasEndedWindows(database, windowMs),
  async run({ signal, progress }) {
    progress(`${await sweepPulls(database, windowMs, signal)} windows removed`);
  },
});
