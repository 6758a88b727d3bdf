import type { Database } from "../../platform/database/database.ts";
import type { Job } from "../../platform/jobs/run-jobs.ts";
import { hasChangesToTell, tellChanges } from "./consume.ts";

const tellEveryMs = 1000;

/** What keeps the audit log. */
export const auditJobs = (database: Database): readonly Job[] => [
  {
    name: "audit",
    everyMs: tellEveryMs,
    hasWork: () => hasChangesToTell(database),
    run: ({ signal }) => tellChanges(database, signal),
  },
];
