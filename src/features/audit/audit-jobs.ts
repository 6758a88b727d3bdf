import type { Database } from "../../platform/database/database.ts";
import type { Job } from "../../platform/jobs/run-jobs.ts";
import { hasChangesToTell, tellChanges } from "./consume.ts";
import { cutEntries, hasOldEntries, hasUnsealed, sealEntries, sweepCut } from "./seal.ts";

interface AuditSettings {
  readonly sealMs: number;
  /** `undefined`: entries are kept for ever. */
  readonly keptMs: number | undefined;
}

const tellEveryMs = 1000;

/** What keeps the audit log. */
export const auditJobs = (database: Database, { sealMs, keptMs }: AuditSettings): readonly Job[] => [
  {
    name: "audit",
    everyMs: tellEveryMs,
    hasWork: () => hasChangesToTell(database),
    run: ({ signal }) => tellChanges(database, signal),
  },
  {
    name: "audit-seal",
    everyMs: sealMs,
    // Time goes by on an idle server too.
    hasWork: async () =>
      (await hasUnsealed(database)) || (keptMs !== undefined && (await hasOldEntries(database, Date.now() - keptMs))),
    async run({ signal, progress }) {
      const sealed = await sealEntries(database, signal);
      const cut =
        keptMs === undefined ? 0 : await cutEntries(database, { at: Date.now(), olderThan: Date.now() - keptMs });
      await sweepCut(database, signal);
      progress(`${sealed} sealed, ${cut} removed by age`);
    },
  },
];
