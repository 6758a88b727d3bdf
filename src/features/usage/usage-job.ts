import type { Database } from "../../platform/database/database.ts";
import type { Job } from "../../platform/jobs/run-jobs.ts";
import { hasOldUsage } from "./find-usage.ts";

const hourMs = 3_600_000;
const dayMs = 86_400_000;

/** Removes days that are too old, one after the other. */
export function usageJob(database: Database, keepDays: number): Job {
  const firstKept = (): string => new Date(Date.now() - keepDays * dayMs).toISOString().slice(0, 10);
  return {
    name: "usage",
    everyMs: hourMs,
    hasWork: () => hasOldUsage(database.read, firstKept()),
    async run({ signal, progress }) {
      progress(`${await removeUsage(database, firstKept(), signal)} rows removed`);
    },
  };
}

const rowsAtOnce = 500;

/** Days before one go, a few rows at once. @returns how many */
export async function removeUsage(database: Database, before: string, signal?: AbortSignal): Promise<number> {
  for (let removed = 0; ;) {
    const rows = await database.write(
      (tx) =>
        tx
          .deleteFrom("usage_days")
          .where(({ eb, refTuple, selectFrom }) =>
            eb(
              refTuple("day", "repository", "principal_id", "token_id"),
              "in",
              selectFrom("usage_days")
                .select(["day", "repository", "principal_id", "token_id"])
                .where("day", "<", before)
                .orderBy("day")
                .limit(rowsAtOnce)
                .$asTuple("day", "repository", "principal_id", "token_id"),
            ),
          )
          .returning("day")
          .execute(),
      { survives: "process" },
    );
    removed += rows.length;
    if (rows.length < rowsAtOnce || signal?.aborted === true) return removed;
  }
}
