import type { Digest } from "../oci/digest.ts";
import { parseTag, type RepositoryName, type Tag } from "../oci/names.ts";
import { clock } from "../platform/database/clock.ts";
import { sql } from "kysely";
import type { Writer } from "../platform/database/database.ts";
import { lockRows } from "../platform/database/lock-rows.ts";
import { asDigest, failUnknown } from "./manifests.ts";
import { checkWriteRules } from "./push-manifest.ts";
import type { Registry } from "./registry.ts";

/**
 * Removes one tag; the manifest stays.
 * @throws RegistryError MANIFEST_UNKNOWN, NAME_UNKNOWN, or a write rule's problem
 */
export async function deleteTag(registry: Registry, repository: RepositoryName, tag: Tag): Promise<void> {
  const removed = await registry.database.write(async (tx) => {
    const repositoryId = await idOf(tx, repository);
    if (repositoryId === undefined) return false;
    return removeTags(registry, tx, { repository, repositoryId, tag });
  });
  if (!removed) await failUnknown(registry, repository, tag);
}

/**
 * Removes a manifest and every tag that names it, all in one step.
 * @throws RegistryError MANIFEST_UNKNOWN, NAME_UNKNOWN, or a write rule's problem
 */
export async function deleteManifest(registry: Registry, repository: RepositoryName, digest: Digest): Promise<void> {
  const { database } = registry;
  const removed = await database.write(async (tx) => {
    const repositoryId = await idOf(tx, repository);
    if (repositoryId === undefined) return false;
    await lockRows(tx, database.dialect, { table: "manifests", column: "digest", values: [digest] });
    await removeTags(registry, tx, { repository, repositoryId, digest });
    const rows = await tx
      .deleteFrom("repository_manifests")
      .where("repository_id", "=", repositoryId)
      .where("digest", "=", digest)
      .returning("digest")
      .execute();
    if (rows.length === 0) return false;
    await releaseEdges(registry, tx, { repositoryId, parent: digest });
    await dropUnusedManifest(tx, digest);
    return true;
  });
  if (!removed) await failUnknown(registry, repository, digest);
}

async function idOf(tx: Writer, name: RepositoryName): Promise<number | undefined> {
  const row = await tx.selectFrom("repositories").select("id").where("name", "=", name).executeTakeFirst();
  return row?.id;
}

type TagsToRemove = { readonly repository: RepositoryName; readonly repositoryId: number } & (
  | { readonly tag: Tag }
  | { readonly digest: Digest }
);

/** Each removed tag is asked about first: a rule that keeps one keeps them all. */
async function removeTags(registry: Registry, tx: Writer, remove: TagsToRemove): Promise<boolean> {
  const rows = await tx
    .deleteFrom("tags")
    .where("repository_id", "=", remove.repositoryId)
    .where((expression) =>
      "tag" in remove ? expression("name", "=", remove.tag) : expression("digest", "=", remove.digest),
    )
    .returning(["name", "digest"])
    .execute();
  for (const { name, digest } of rows) {
    const tag = parseTag(name);
    if (tag === undefined) continue;
    const change = { repository: remove.repository, tag, from: asDigest(digest), to: undefined };
    await checkWriteRules(registry, tx, change);
  }
  return rows.length > 0;
}

/** What nothing needs any more begins a fresh lease, so that a push which counts on it still finds it. */
async function releaseEdges(
  { database, settings }: Registry,
  tx: Writer,
  { repositoryId, parent }: { readonly repositoryId: number; readonly parent: Digest },
): Promise<void> {
  await tx
    .updateTable("repository_blobs")
    .set({ leased_until: sql<number>`${clock(database.dialect)} + ${sql.lit(settings.leaseMs)}` })
    .where("repository_id", "=", repositoryId)
    .where("digest", "in", (expression) =>
      expression
        .selectFrom("edges")
        .select("child")
        .where("repository_id", "=", repositoryId)
        .where("parent", "=", parent),
    )
    .execute();
  await tx.deleteFrom("edges").where("repository_id", "=", repositoryId).where("parent", "=", parent).execute();
}

/** The bytes go with the last repository that has the manifest; its row is locked, so no push can miss that. */
async function dropUnusedManifest(tx: Writer, digest: Digest): Promise<void> {
  await tx
    .deleteFrom("manifests")
    .where("digest", "=", digest)
    .where(({ not, exists, selectFrom }) =>
      not(exists(selectFrom("repository_manifests").select("digest").where("digest", "=", digest))),
    )
    .execute();
}
