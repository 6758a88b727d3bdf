import { server } from "../platform/events/access-event.ts";
import { type RawBuilder, sql } from "kysely";
import { parseRepositoryName } from "../oci/names.ts";
import type { UploadState } from "../platform/blobs/blob-store.ts";
import { clock } from "../platform/database/clock.ts";
import { lockRows } from "../platform/database/lock-rows.ts";
import { recordEvents, writeEvents } from "../platform/events/record-events.ts";
import { dropUnusedBlobs, storedKey } from "./blobs.ts";
import { dropSomeOfRepository } from "./delete-repository.ts";
import { isNamed, neverMs } from "./edges.ts";
import { asDigest } from "./manifests.ts";
import type { Registry } from "./registry.ts";
import { keepRepositories } from "./repositories.ts";
import { mendTimes } from "./mend-times.ts";
import { doomUploads } from "./uploads/doom-uploads.ts";

/** What one pass removed. */
export interface Collected {
  readonly uploads: number;
  readonly memberships: number;
  readonly blobs: number;
  readonly files: number;
}

const nothing: Collected = { uploads: 0, memberships: 0, blobs: 0, files: 0 };

interface Step {
  /** Rows that were due before the step; after it, none of them is. */
  readonly due: number;
  readonly removed: Partial<Collected>;
}

/** Small steps, so that a writer in between never waits long. */
const mostInOneStep = 200;

/**
 * Removes what nobody needs any more, while everything else goes on: idle uploads, all of repositories that were deleted,
 * blobs whose lease has run out and that no manifest names, and the bytes whose row went long enough ago.
 */
export async function collect(registry: Registry): Promise<Collected> {
  let total = nothing;
  await mendTimes(registry);
  const { clockWatch, settings } = registry;
  for (const { step, lastsMs } of [
    { step: expireUploads, lastsMs: settings.uploads.idleMs },
    { step: dropRepositories, lastsMs: 0 },
    { step: dropMemberships, lastsMs: settings.leaseMs },
    { step: deleteBytes, lastsMs: settings.deleteDelayMs },
  ]) {
    // A clock that is set forward makes everything look old: it counts for nothing until it has really run as long.
    if (!clockWatch.hasRested(lastsMs)) continue;
    for (;;) {
      const { due, removed } = await step(registry);
      total = add(total, { ...nothing, ...removed });
      if (due < mostInOneStep) break;
    }
  }
  return total;
}

const add = (one: Collected, other: Collected): Collected => ({
  uploads: one.uploads + other.uploads,
  memberships: one.memberships + other.memberships,
  blobs: one.blobs + other.blobs,
  files: one.files + other.files,
});

/** Asked once a statement: PostgreSQL looks nothing up in an index by what it would have to ask for each row. */
const onceOf = (now: RawBuilder<number>) => sql<number>`(select ${now})`;

/** By last activity: a slow upload that still moves is nobody's rubbish. */
async function expireUploads(registry: Registry): Promise<Step> {
  const { database, settings } = registry;
  const now = clock(database.dialect);
  const idleSince = sql<number>`${now} - ${sql.lit(settings.uploads.idleMs)}`;
  const rows = await writeEvents(
    database,
    async (tx) => {
      const ended = await tx
        .deleteFrom("uploads")
        .where("id", "in", (expression) =>
          expression
            .selectFrom("uploads as idle")
            .select("idle.id")
            // It began before it was active last, and has the index: one of what each claim changes would be written with it.
            .where("idle.started_at", "<", idleSince)
            .where("idle.active_at", "<", idleSince)
            .where("idle.held_until", "<", now)
            .orderBy("idle.started_at")
            .limit(mostInOneStep)
            // Two collectors never wait for each other; what one has, the other passes over.
            .$if(database.dialect === "postgres", (query) => query.forUpdate().skipLocked()),
        )
        // Once more on the row itself: PostgreSQL asks only this again of a session that was claimed while it waited.
        .where("active_at", "<", idleSince)
        .where("held_until", "<", now)
        .returning(["blob_key", "state"])
        .execute();
      await doomUploads(
        registry,
        tx,
        ended.map((row) => ({ ...row, holder: null })),
      );
      return ended;
    },
    server,
  );
  return { due: rows.length, removed: { uploads: rows.length } };
}

/** What is left of repositories that were deleted. */
async function dropRepositories(registry: Registry): Promise<Step> {
  const { isOver, blobs } = await dropSomeOfRepository(registry);
  return { due: isOver ? 0 : mostInOneStep, removed: { blobs } };
}

/**
 * A repository's blob that no manifest names lasts as long as its lease; with its last repository the blob goes. The
 * blobs are locked first and looked at after.
 */
async function dropMemberships(registry: Registry): Promise<Step> {
  const { database } = registry;
  const now = clock(database.dialect);
  const due = await database.read
    .selectFrom("repository_blobs")
    .innerJoin("repositories", "repositories.id", "repository_blobs.repository_id")
    .select(["repository_id", "repositories.name", "digest"])
    .where("leased_until", "<", onceOf(now))
    .limit(mostInOneStep)
    .execute();
  if (due.length === 0) return { due: 0, removed: {} };
  return writeEvents(
    database,
    async (tx) => {
      const values = [...new Set(due.map((row) => row.digest))].toSorted();
      const blobs = { table: "blobs", column: "digest", values };
      // One that has gone since, and comes again meanwhile, is not locked.
      const locked = new Set(await lockRows(tx, database.dialect, { ...blobs, against: "everyone" }));
      if (locked.size === 0) return { due: due.length, removed: {} };
      let memberships = 0;
      const byRepository = Map.groupBy(
        due.filter(({ digest }) => locked.has(digest)),
        (row) => row.repository_id,
      );
      const kept = await keepRepositories(tx, database, [...byRepository.keys()]);
      for (const [repositoryId, rows] of byRepository) {
        // Deleted since: another may have its name, and its blobs.
        if (!kept.has(repositoryId)) continue;
        const digests = rows.map((row) => row.digest);
        // A blob that came after the manifest which names it got a lease that it does not need.
        await tx
          .updateTable("repository_blobs")
          .set({ leased_until: neverMs })
          .where("repository_id", "=", repositoryId)
          .where("digest", "in", digests)
          .where(isNamed)
          .execute();
        const gone = await tx
          .deleteFrom("repository_blobs")
          .where("repository_id", "=", repositoryId)
          .where("digest", "in", digests)
          .where("leased_until", "<", now)
          .returning("digest")
          .execute();
        memberships += gone.length;
        const repository = parseRepositoryName(rows[0]?.name ?? "");
        if (repository === undefined) throw new Error(`the database holds a name that is none: ${rows[0]?.name ?? ""}`);
        for (const { digest } of gone) recordEvents(tx, { kind: "blob-removed", repository, digest: asDigest(digest) });
      }
      return { due: due.length, removed: { memberships, blobs: await dropUnusedBlobs(registry, tx, [...locked]) } };
    },
    server,
  );
}

async function deleteBytes({ database, blobs }: Registry): Promise<Step> {
  const due = await database.read
    .selectFrom("doomed_blobs")
    .select(["blob_key", "state"])
    .where("delete_after", "<=", onceOf(clock(database.dialect)))
    .limit(mostInOneStep)
    .execute();
  if (due.length === 0) return { due: 0, removed: {} };
  const keys = due.map((row) => row.blob_key);
  for (const { blob_key, state } of due) {
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- as the blob store gave it
    if (state !== null) await blobs.cancel({ key: storedKey(blob_key), state: state as UploadState });
  }
  await blobs.delete(keys.map(storedKey));
  await writeEvents(
    database,
    async (tx) => {
      const doomed = { table: "doomed_blobs", column: "blob_key", values: keys };
      await lockRows(tx, database.dialect, { ...doomed, against: "everyone" });
      await tx.deleteFrom("doomed_blobs").where("blob_key", "in", keys).execute();
      for (const key of keys) recordEvents(tx, { kind: "bytes-deleted", key: storedKey(key) });
    },
    server,
  );
  return { due: due.length, removed: { files: due.length } };
}
