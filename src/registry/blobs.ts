import { sql } from "kysely";
import type { Digest } from "../oci/digest.ts";
import type { RepositoryName } from "../oci/names.ts";
import { fail } from "../oci/problem.ts";
import { type BlobKey, parseBlobKey } from "../platform/blobs/blob-store.ts";
import { clock } from "../platform/database/clock.ts";
import type { Database, Writer } from "../platform/database/database.ts";
import { lockRows } from "../platform/database/lock-rows.ts";
import { checkReadGates, type Registry } from "./registry.ts";
import { ensureRepository } from "./repositories.ts";

export interface StoredBlob {
  readonly digest: Digest;
  readonly key: BlobKey;
  readonly sizeBytes: number;
}

/** @throws RegistryError BLOB_UNKNOWN, or a read gate's problem */
export async function findBlob(registry: Registry, repository: RepositoryName, digest: Digest): Promise<StoredBlob> {
  const row = await registry.database.read
    .selectFrom("repositories")
    .innerJoin("repository_blobs", "repository_blobs.repository_id", "repositories.id")
    .innerJoin("blobs", "blobs.digest", "repository_blobs.digest")
    .select(["blobs.blob_key", "blobs.size_bytes"])
    .where("repositories.name", "=", repository)
    .where("repository_blobs.digest", "=", digest)
    .executeTakeFirst();
  if (row === undefined) return fail({ code: "BLOB_UNKNOWN", digest });
  checkReadGates(registry, repository, digest);
  return { digest, key: storedKey(row.blob_key), sizeBytes: row.size_bytes };
}

export function storedKey(text: string): BlobKey {
  const key = parseBlobKey(text);
  if (key === undefined) throw new Error(`the database holds a blob key that is none: ${text}`);
  return key;
}

/** The end of a lease that begins now, by the database's clock. */
const leaseEnd = ({ dialect }: Database, leaseMs: number) => sql<number>`${clock(dialect)} + ${sql.lit(leaseMs)}`;

/**
 * A pusher who asks for a blob and hears that it is there will not send it: what no manifest needs, and is about to
 * run out, gets a new lease before the answer. Most questions change nothing.
 */
export async function renewLease(registry: Registry, repository: RepositoryName, digest: Digest): Promise<void> {
  const { database, settings } = registry;
  const half = sql<number>`${clock(database.dialect)} + ${sql.lit(Math.floor(settings.leaseMs / 2))}`;
  const due = await database.read
    .selectFrom("repositories")
    .innerJoin("repository_blobs", "repository_blobs.repository_id", "repositories.id")
    .select("repositories.id")
    .where("repositories.name", "=", repository)
    .where("repository_blobs.digest", "=", digest)
    .where("repository_blobs.leased_until", "<", half)
    .where(({ not, exists, selectFrom }) =>
      not(
        exists(
          selectFrom("edges")
            .select("edges.child")
            .whereRef("edges.repository_id", "=", "repositories.id")
            .where("edges.child", "=", digest),
        ),
      ),
    )
    .executeTakeFirst();
  if (due === undefined) return;
  const renewed = await database.write(async (tx) => {
    await lockRows(tx, database.dialect, { table: "blobs", column: "digest", values: [digest] });
    return tx
      .updateTable("repository_blobs")
      .set({ leased_until: leaseEnd(database, settings.leaseMs) })
      .where("repository_id", "=", due.id)
      .where("digest", "=", digest)
      .returning("digest")
      .execute();
  });
  if (renewed.length === 0) fail({ code: "BLOB_UNKNOWN", digest });
}

/** Makes a blob readable in a repository, or renews its lease there. The blob's row must be locked or new. */
export async function addBlobToRepository(
  { database, settings }: Registry,
  tx: Writer,
  { repository, digest }: { readonly repository: RepositoryName; readonly digest: Digest },
): Promise<void> {
  const repositoryId = await ensureRepository(tx, database, repository);
  const leased_until = leaseEnd(database, settings.leaseMs);
  await tx
    .insertInto("repository_blobs")
    .values({ repository_id: repositoryId, digest, leased_until })
    .onConflict((conflict) => conflict.columns(["repository_id", "digest"]).doUpdateSet({ leased_until }))
    .execute();
}

export interface Mount {
  readonly repository: RepositoryName;
  readonly digest: Digest;
  /** Repositories that the caller may read, the most likely first. */
  readonly sources: readonly RepositoryName[];
}

/** Makes a blob of one of the sources readable in the repository too; `false` where none of them has it. */
export async function mountBlob(registry: Registry, { repository, digest, sources }: Mount): Promise<boolean> {
  const { database } = registry;
  if (sources.length === 0) return false;
  return database.write(async (tx) => {
    await lockRows(tx, database.dialect, { table: "blobs", column: "digest", values: [digest] });
    const source = await tx
      .selectFrom("repository_blobs")
      .innerJoin("repositories", "repositories.id", "repository_blobs.repository_id")
      .select("repositories.id")
      .where("repository_blobs.digest", "=", digest)
      .where("repositories.name", "in", sources)
      .executeTakeFirst();
    if (source === undefined) return false;
    await addBlobToRepository(registry, tx, { repository, digest });
    return true;
  });
}

/**
 * Takes a blob out of a repository, also where a manifest names it: the client asked for it, and a later push of the
 * image makes it whole. Other repositories keep theirs.
 * @throws RegistryError BLOB_UNKNOWN
 */
export async function deleteBlob(registry: Registry, repository: RepositoryName, digest: Digest): Promise<void> {
  const { database } = registry;
  const removed = await database.write((tx) =>
    tx
      .deleteFrom("repository_blobs")
      .where("digest", "=", digest)
      .where("repository_id", "in", (expression) =>
        expression.selectFrom("repositories").select("id").where("name", "=", repository),
      )
      .returning("digest")
      .execute(),
  );
  if (removed.length === 0) fail({ code: "BLOB_UNKNOWN", digest });
}
