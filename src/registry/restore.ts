import { sql } from "kysely";
import { clock } from "../platform/database/clock.ts";
import type { Database, Reader, Writer } from "../platform/database/database.ts";
import { isNamed, leaseEnd, neverMs } from "./edges.ts";

/** Whether nothing was ever pushed here, or all of it is gone. */
export async function isRegistryEmpty(reader: Reader): Promise<boolean> {
  for (const table of ["repositories", "blobs", "manifests", "doomed_blobs", "uploads"] as const) {
    const row = await reader
      .selectFrom(table)
      .select(({ lit }) => lit(1).as("one"))
      .limit(1)
      .executeTakeFirst();
    if (row !== undefined) return false;
  }
  return true;
}

/** Removes every row of the registry, and no bytes. */
export async function emptyRegistry(tx: Writer): Promise<void> {
  for (const table of [
    "tags",
    "edges",
    "repository_manifests",
    "manifests",
    "repository_blobs",
    "blobs",
    "doomed_blobs",
    "uploads",
    "doomed_repositories",
    "repositories",
  ] as const) {
    await tx.deleteFrom(table).execute();
  }
}

/** Every blob that no manifest names begins a fresh lease, as if it had just been pushed. */
export async function renewAllLeases(tx: Writer, database: Database, leaseMs: number): Promise<void> {
  await tx
    .updateTable("repository_blobs")
    .set({ leased_until: leaseEnd(database, leaseMs) })
    .execute();
  await tx.updateTable("repository_blobs").set({ leased_until: neverMs }).where(isNamed).execute();
}

/** Blobs whose bytes are gone are in no repository: so a push of the same content makes them whole. */
export async function forgetBlobs(tx: Writer, digests: readonly string[]): Promise<void> {
  await tx.deleteFrom("repository_blobs").where("digest", "in", digests).execute();
  await tx.deleteFrom("blobs").where("digest", "in", digests).execute();
}

/**
 * Manifests and blobs that no repository has: those of one that was deleted, where the journal ends before it tells of all
 * that went with it. Their bytes go as all others do.
 */
export async function dropUnowned(tx: Writer, { dialect }: Database, deleteDelayMs: number): Promise<void> {
  await tx
    .deleteFrom("manifests")
    .where("digest", "not in", (expression) => expression.selectFrom("repository_manifests").select("digest"))
    .execute();
  const unowned = tx
    .selectFrom("blobs")
    .where("digest", "not in", (expression) => expression.selectFrom("repository_blobs").select("digest"));
  await tx
    .insertInto("doomed_blobs")
    .columns(["blob_key", "delete_after"])
    .expression(
      unowned.select(["blob_key", sql<number>`${clock(dialect)} + ${sql.lit(deleteDelayMs)}`.as("delete_after")]),
    )
    .onConflict((conflict) => conflict.column("blob_key").doNothing())
    .execute();
  await tx.deleteFrom("blobs").where("digest", "in", unowned.select("digest")).execute();
}

/** Tags of manifests that their repository does not have; they lead nowhere, so they go. @returns what they named */
export async function dropDanglingTags(
  tx: Writer,
): Promise<readonly { readonly repository: string; readonly tag: string; readonly digest: string }[]> {
  const dangling = await tx
    .selectFrom("tags as tag")
    .innerJoin("repositories", "repositories.id", "tag.repository_id")
    .leftJoin("repository_manifests as held", (join) =>
      join.onRef("held.repository_id", "=", "tag.repository_id").onRef("held.digest", "=", "tag.digest"),
    )
    .select(["tag.repository_id", "repositories.name as repository", "tag.name as tag", "tag.digest"])
    .where("held.digest", "is", null)
    .execute();
  for (const { repository_id, tag } of dangling) {
    await tx.deleteFrom("tags").where("repository_id", "=", repository_id).where("name", "=", tag).execute();
  }
  return dangling.map(({ repository, tag, digest }) => ({ repository, tag, digest }));
}
