import type { ExpressionBuilder } from "kysely";
import type { Digest } from "../oci/digest.ts";
import { parseTag, type RepositoryName, type Tag } from "../oci/names.ts";
import type { Database, Tables, Writer } from "../platform/database/database.ts";
import { inChunks } from "../platform/database/in-chunks.ts";
import { lockRows } from "../platform/database/lock-rows.ts";
import { type RecordingWriter, recordEvents } from "../platform/events/record-events.ts";
import { removeEdges } from "./edges.ts";
import { asDigest, failUnknown } from "./manifests.ts";
import { checkWriteRules, type Registry, writeChange } from "./registry.ts";
import { keepRepository } from "./repositories.ts";

/**
 * Removes one tag; the manifest stays.
 * @throws RegistryError MANIFEST_UNKNOWN, NAME_UNKNOWN, or a write rule's problem
 */
export async function deleteTag(registry: Registry, repository: RepositoryName, tag: Tag): Promise<void> {
  const isRemoved = await writeChange(registry, (tx) => removeTag(registry, tx, { repository, tag }));
  if (!isRemoved) await failUnknown(registry, repository, tag);
}

/** The same within a transaction of the caller's. @returns whether there was such a tag */
export async function removeTag(
  registry: Registry,
  tx: RecordingWriter,
  { repository, tag }: { readonly repository: RepositoryName; readonly tag: Tag },
): Promise<boolean> {
  const repositoryId = await keepRepository(tx, registry.database, repository);
  if (repositoryId === undefined) return false;
  return (await removeTags(registry, tx, { repository, repositoryId, tag })).length > 0;
}

/**
 * Removes a manifest and every tag that names it, all in one step.
 * @throws RegistryError MANIFEST_UNKNOWN, NAME_UNKNOWN, or a write rule's problem
 */
export async function deleteManifest(registry: Registry, repository: RepositoryName, digest: Digest): Promise<void> {
  const tags = await writeChange(registry, (tx) => removeManifest(registry, tx, { repository, digest }));
  if (tags === undefined) await failUnknown(registry, repository, digest);
}

/** The same within a transaction of the caller's. @returns the tags that went with it; `undefined`: it is not there */
export async function removeManifest(
  registry: Registry,
  tx: RecordingWriter,
  { repository, digest }: { readonly repository: RepositoryName; readonly digest: Digest },
): Promise<readonly string[] | undefined> {
  const { database, settings } = registry;
  const found = await findParent(tx, database, { repository, digest });
  if (found === undefined) return undefined;
  const { repositoryId, children } = found;
  for (const values of inChunks(children)) {
    await lockRows(tx, database.dialect, { table: "blobs", column: "digest", values, against: "everyone" });
  }
  const manifest = { table: "manifests", column: "digest", values: [digest] };
  const locked = await lockRows(tx, database.dialect, { ...manifest, against: "everyone" });
  // Another has deleted it a moment ago. Where it is being pushed again, its tags may not be seen yet, and would stay.
  if (!locked.includes(digest)) return undefined;
  const tags = await removeTags(registry, tx, { repository, repositoryId, digest });
  const rows = await tx
    .deleteFrom("repository_manifests")
    .where("repository_id", "=", repositoryId)
    .where("digest", "=", digest)
    .returning("digest")
    .execute();
  if (rows.length === 0) return undefined;
  recordEvents(tx, { kind: "manifest-deleted", repository, digest });
  await removeEdges({ database, leaseMs: settings.leaseMs }, tx, { repositoryId, parent: digest, children });
  await dropUnusedManifests(tx, [digest]);
  return tags;
}

interface Parent {
  readonly repositoryId: number;
  /** In the order of their digests. What a manifest names never changes, so this still holds once rows are locked. */
  readonly children: readonly string[];
}

async function findParent(
  tx: Writer,
  { dialect }: Database,
  { repository, digest }: { readonly repository: RepositoryName; readonly digest: Digest },
): Promise<Parent | undefined> {
  const rows = await tx
    .selectFrom("repositories")
    .innerJoin("repository_manifests", "repository_manifests.repository_id", "repositories.id")
    .leftJoin("edges", (join) =>
      join
        .onRef("edges.repository_id", "=", "repository_manifests.repository_id")
        .onRef("edges.parent", "=", "repository_manifests.digest"),
    )
    .select(["repositories.id", "edges.child"])
    .where("repositories.name", "=", repository)
    .where("repository_manifests.digest", "=", digest)
    .orderBy("edges.child")
    // Whoever deletes the repository waits until this is over.
    .$if(dialect === "postgres", (query) => query.forKeyShare("repositories"))
    .execute();
  const [first] = rows;
  return first && { repositoryId: first.id, children: rows.flatMap(({ child }) => child ?? []) };
}

type TagsToRemove = { readonly repository: RepositoryName; readonly repositoryId: number } & (
  | { readonly tag: Tag }
  | { readonly digest: Digest }
);

/** Each removed tag is asked about: a rule that keeps one keeps them all. */
async function removeTags(registry: Registry, tx: RecordingWriter, remove: TagsToRemove): Promise<readonly string[]> {
  const { repository, repositoryId } = remove;
  const areMeant = (expression: ExpressionBuilder<Tables, "tags">) =>
    expression.and([
      expression("repository_id", "=", repositoryId),
      "tag" in remove ? expression("name", "=", remove.tag) : expression("digest", "=", remove.digest),
    ]);
  if (registry.database.dialect === "postgres") {
    // In the order in which a push of several tags takes them.
    await tx.selectFrom("tags").select("name").where(areMeant).orderBy("name").forUpdate().execute();
  }
  const removed: string[] = [];
  for (;;) {
    const rows = await tx
      .deleteFrom("tags")
      .where("repository_id", "=", repositoryId)
      .where("name", "in", (expression) =>
        expression.selectFrom("tags").select("name").where(areMeant).limit(mostTagsAtOnce),
      )
      .returning(["name", "digest"])
      .execute();
    for (const { name, digest } of rows) {
      const tag = parseTag(name);
      removed.push(name);
      if (tag === undefined) throw new Error(`the database holds a tag that is none: ${name}`);
      const from = asDigest(digest);
      recordEvents(tx, { kind: "tag-deleted", repository, tag, from });
      await checkWriteRules(registry, tx, { repository, tag, from, to: undefined });
    }
    if (rows.length < mostTagsAtOnce) return removed;
  }
}

/** In one statement: others are answered between two of them, also where a hundred thousand tags name a manifest. */
const mostTagsAtOnce = 500;

/** The bytes go with the last repository that has the manifest; the rows are locked, so no push can miss that. */
export async function dropUnusedManifests(tx: RecordingWriter, digests: readonly string[]): Promise<void> {
  const dropped = await tx
    .deleteFrom("manifests")
    .where("digest", "in", digests)
    .where(({ not, exists, selectFrom }) =>
      not(
        exists(
          selectFrom("repository_manifests")
            .select("digest")
            .whereRef("repository_manifests.digest", "=", "manifests.digest"),
        ),
      ),
    )
    .returning("digest")
    .execute();
  for (const { digest } of dropped) recordEvents(tx, { kind: "manifest-dropped", digest: asDigest(digest) });
}
