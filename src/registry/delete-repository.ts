import { server } from "../platform/events/access-event.ts";
import type { RepositoryName } from "../oci/names.ts";
import { lockRows } from "../platform/database/lock-rows.ts";
import { type RecordingWriter, recordEvents, writeEvents } from "../platform/events/record-events.ts";
import { dropUnusedBlobs } from "./blobs.ts";
import { dropUnusedManifests } from "./delete-manifest.ts";
import type { Registry } from "./registry.ts";
import { doomUploads } from "./uploads/doom-uploads.ts";

/** What went with a repository; of tags and manifests, no more than `mostCounted` are counted. */
export interface RemovedRepository {
  readonly id: number;
  readonly tags: number;
  readonly manifests: number;
  readonly uploads: number;
}

const mostCounted = 10_000;

/**
 * Within a transaction of the caller's, who tells access. From its commit on nobody finds anything of it, and whatever gets its
 * name is another; its rows are the collector's. Pushes to it that have begun end with it.
 * @returns `undefined` where there is no such repository
 */
export async function removeRepository(
  registry: Registry,
  tx: RecordingWriter,
  repository: RepositoryName,
): Promise<RemovedRepository | undefined> {
  // Before the repository, as whoever finishes an upload takes them.
  const uploads = await tx
    .deleteFrom("uploads")
    .where("repository", "=", repository)
    .returning(["blob_key", "state", "holder"])
    .execute();
  await doomUploads(registry, tx, uploads);
  const [deleted] = await tx.deleteFrom("repositories").where("name", "=", repository).returning("id").execute();
  if (deleted === undefined) return undefined;
  const { id } = deleted;
  await tx.insertInto("doomed_repositories").values({ id }).execute();
  recordEvents(tx, { kind: "repository-deleted", repository });
  const [tags, manifests] = [await count(tx, "tags", id), await count(tx, "repository_manifests", id)];
  return { id, tags, manifests, uploads: uploads.length };
}

async function count(tx: RecordingWriter, table: "tags" | "repository_manifests", id: number): Promise<number> {
  const some = tx
    .selectFrom(table)
    .select("repository_id")
    .where("repository_id", "=", id)
    .limit(mostCounted)
    .as("counted");
  const { rows } = await tx
    .selectFrom(some)
    .select(({ fn }) => fn.countAll<number>().as("rows"))
    .executeTakeFirstOrThrow();
  return rows;
}

/** A manifest may name many blobs; of all else, rows are small. */
const manifestsInOneStep = 50;
const rowsInOneStep = 200;

/** Removes some rows of a repository that was deleted. @returns whether there may be more */
export async function dropSomeOfRepository(
  registry: Registry,
): Promise<{ readonly isOver: boolean; readonly blobs: number }> {
  const { database } = registry;
  const doomed = await database.read
    .selectFrom("doomed_repositories")
    .select("id")
    .orderBy("id")
    .limit(1)
    .executeTakeFirst();
  if (doomed === undefined) return { isOver: true, blobs: 0 };
  const { id } = doomed;
  return writeEvents(
    database,
    async (tx) => {
      // What another collector removes at this moment would look as if it were gone, and there were no more.
      const own = await tx
        .selectFrom("doomed_repositories")
        .select("id")
        .where("id", "=", id)
        .$if(database.dialect === "postgres", (query) => query.forUpdate().skipLocked())
        .executeTakeFirst();
      if (own === undefined) return { isOver: true, blobs: 0 };
      const blobs = await dropBlobs(registry, tx, id);
      const left = blobs ?? (await dropManifests(registry, tx, id)) ?? (await dropTags(tx, id));
      if (left === undefined) await tx.deleteFrom("doomed_repositories").where("id", "=", id).execute();
      return { isOver: false, blobs: blobs ?? 0 };
    },
    server,
  );
}

/** Digests of some rows of the repository, whose blobs or manifests are locked. */
async function lockSome(
  { database: { dialect } }: Registry,
  tx: RecordingWriter,
  of: { readonly id: number; readonly members: "repository_blobs" | "repository_manifests"; readonly limit: number },
): Promise<readonly string[]> {
  const rows = await tx
    .selectFrom(of.members)
    .select("digest")
    .where("repository_id", "=", of.id)
    .orderBy("digest")
    .limit(of.limit)
    .execute();
  const values = rows.map(({ digest }) => digest);
  const table = of.members === "repository_blobs" ? "blobs" : "manifests";
  await lockRows(tx, dialect, { table, column: "digest", values, against: "everyone" });
  return values;
}

/** @returns how many blobs nobody has any more; `undefined` where the repository has none left */
async function dropBlobs(registry: Registry, tx: RecordingWriter, id: number): Promise<number | undefined> {
  const digests = await lockSome(registry, tx, { id, members: "repository_blobs", limit: rowsInOneStep });
  if (digests.length === 0) return undefined;
  await tx.deleteFrom("repository_blobs").where("repository_id", "=", id).where("digest", "in", digests).execute();
  return dropUnusedBlobs(registry, tx, digests);
}

async function dropManifests(registry: Registry, tx: RecordingWriter, id: number): Promise<number | undefined> {
  const digests = await lockSome(registry, tx, { id, members: "repository_manifests", limit: manifestsInOneStep });
  if (digests.length === 0) return undefined;
  await tx.deleteFrom("repository_manifests").where("repository_id", "=", id).where("digest", "in", digests).execute();
  await tx.deleteFrom("edges").where("repository_id", "=", id).where("parent", "in", digests).execute();
  await dropUnusedManifests(tx, digests);
  return digests.length;
}

async function dropTags(tx: RecordingWriter, id: number): Promise<number | undefined> {
  const gone = await tx
    .deleteFrom("tags")
    .where("repository_id", "=", id)
    .where("name", "in", (expression) =>
      expression.selectFrom("tags").select("name").where("repository_id", "=", id).limit(rowsInOneStep),
    )
    .returning("name")
    .execute();
  return gone.length === 0 ? undefined : gone.length;
}
