import { sql } from "kysely";
import { clock } from "../platform/database/clock.ts";
import type { Writer } from "../platform/database/database.ts";
import { inChunks } from "../platform/database/in-chunks.ts";
import { neverMs } from "./edges.ts";
import type { Registry } from "./registry.ts";

/** Times of two servers on one database are read a moment apart; what is a little too late does no harm. */
const toleranceMs = 60_000;

/**
 * Looks at the database's clock, and sets right what a clock that was set back has left in a far future: nothing lasts
 * longer than if it began now. A request that holds a session goes on holding it.
 */
export async function mendTimes(registry: Registry): Promise<void> {
  const { database, clockWatch } = registry;
  const { rows } = await sql<{ now: number }>`select ${clock(database.dialect)} as now`.execute(database.read);
  clockWatch.look(rows[0]?.now ?? 0);
  while (await isAnythingFarAhead(registry)) await database.write((tx) => pullBack(registry, tx));
}

/** The latest that each kind of time can rightly be. */
function latest({ database, settings }: Registry) {
  const after = (ms: number) => sql<number>`${clock(database.dialect)} + ${sql.lit(ms)}`;
  return {
    lease: { mended: after(settings.leaseMs), limit: after(settings.leaseMs + toleranceMs) },
    hold: { mended: after(settings.uploads.holdMs), limit: after(settings.uploads.holdMs + toleranceMs) },
    activity: { mended: after(0), limit: after(toleranceMs) },
  };
}

async function isAnythingFarAhead(registry: Registry): Promise<boolean> {
  const { read } = registry.database;
  const { lease, hold, activity } = latest(registry);
  const leased = read
    .selectFrom("repository_blobs")
    .select("digest")
    .where("leased_until", ">", lease.limit)
    .where("leased_until", "<", neverMs);
  const uploading = read
    .selectFrom("uploads")
    .select("id")
    .where((expression) =>
      expression.or([
        expression("held_until", ">", hold.limit),
        expression("started_at", ">", activity.limit),
        expression("active_at", ">", activity.limit),
      ]),
    );
  const found = [await leased.limit(1).execute(), await uploading.limit(1).execute()];
  return found.some((rows) => rows.length > 0);
}

/** Of very many leases: nobody waits long for a step. */
const mostInOneStep = 1000;

async function pullBack(registry: Registry, tx: Writer): Promise<void> {
  const { lease, hold, activity } = latest(registry);
  const far = await tx
    .selectFrom("repository_blobs")
    .select(["repository_id", "digest"])
    .where("leased_until", ">", lease.limit)
    .where("leased_until", "<", neverMs)
    .limit(mostInOneStep)
    .execute();
  for (const [repositoryId, rows] of Map.groupBy(far, (row) => row.repository_id)) {
    for (const some of inChunks(rows)) {
      await tx
        .updateTable("repository_blobs")
        .set({ leased_until: lease.mended })
        .where("repository_id", "=", repositoryId)
        .where(
          "digest",
          "in",
          some.map(({ digest }) => digest),
        )
        .where("leased_until", ">", lease.limit)
        .where("leased_until", "<", neverMs)
        .execute();
    }
  }
  await tx.updateTable("uploads").set({ held_until: hold.mended }).where("held_until", ">", hold.limit).execute();
  const { mended: now, limit } = activity;
  await tx.updateTable("uploads").set({ started_at: now }).where("started_at", ">", limit).execute();
  await tx.updateTable("uploads").set({ active_at: now }).where("active_at", ">", limit).execute();
}
