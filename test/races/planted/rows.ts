import type { Digest } from "../../../src/oci/digest.ts";
import type { RepositoryName, Tag } from "../../../src/oci/names.ts";
import type { Writer } from "../../../src/platform/database/database.ts";
import { asDigest } from "../../../src/registry/manifests.ts";
import type { Registry } from "../../../src/registry/registry.ts";
import { findRepository } from "../../../src/registry/repositories.ts";

/** Rows as the planted faults touch them: past the functions that would do it right. */
export async function readTag(
  { database }: Registry,
  repository: RepositoryName,
  tag: Tag,
): Promise<Digest | undefined> {
  const row = await database.read
    .selectFrom("tags")
    .innerJoin("repositories", "repositories.id", "tags.repository_id")
    .select("tags.digest")
    .where("repositories.name", "=", repository)
    .where("tags.name", "=", tag)
    .executeTakeFirst();
  return row && asDigest(row.digest);
}

interface TagMove {
  readonly repository: RepositoryName;
  readonly tag: Tag;
  readonly digest: Digest;
  readonly onlyFrom?: Digest;
}

/** Nothing where there is no such repository yet. */
export async function setTag(tx: Writer, { repository, tag, digest, onlyFrom }: TagMove): Promise<void> {
  const repository_id = await findRepository(tx, repository);
  if (repository_id === undefined) return;
  if (onlyFrom !== undefined) {
    await tx
      .updateTable("tags")
      .set({ digest })
      .where("repository_id", "=", repository_id)
      .where("name", "=", tag)
      .where("digest", "=", onlyFrom)
      .execute();
    return;
  }
  await tx
    .insertInto("tags")
    .values({ repository_id, name: tag, digest, created_at: 0, updated_at: 0 })
    .onConflict((conflict) => conflict.columns(["repository_id", "name"]).doUpdateSet({ digest }))
    .execute();
}

interface Rows {
  readonly repository: RepositoryName;
  readonly digest: Digest;
  readonly tag?: Tag;
}

export async function dropTags(tx: Writer, { repository, digest, tag }: Rows): Promise<void> {
  const id = await findRepository(tx, repository);
  await tx
    .deleteFrom("tags")
    .where("repository_id", "=", id ?? 0)
    .where("digest", "=", digest)
    .$if(tag !== undefined, (query) => query.where("name", "=", tag ?? ""))
    .execute();
}

/** The manifest, without a look at its tags. */
export async function dropManifestRows(tx: Writer, { repository, digest }: Rows): Promise<boolean> {
  const id = (await findRepository(tx, repository)) ?? 0;
  await tx.deleteFrom("edges").where("repository_id", "=", id).where("parent", "=", digest).execute();
  const rows = await tx
    .deleteFrom("repository_manifests")
    .where("repository_id", "=", id)
    .where("digest", "=", digest)
    .returning("digest")
    .execute();
  return rows.length > 0;
}
