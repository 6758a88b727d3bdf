import type { Digest } from "../oci/digest.ts";
import type { RepositoryName } from "../oci/names.ts";
import type { Visibility } from "../oci/visibility.ts";
import type { Reader } from "../platform/database/database.ts";
import { inChunks } from "../platform/database/in-chunks.ts";
import { asDigest } from "./manifests.ts";
import type { Registry } from "./registry.ts";
import { idOfRepository, listRepositories, type Page, type PageRequest, toPage, type Visible } from "./repositories.ts";

/** What lists show of a repository. Times are milliseconds since 1970. */
export interface RepositorySummary {
  readonly id: number;
  readonly name: string;
  readonly visibility: Visibility;
  readonly createdAt: number;
}

export async function summarizeRepositories(
  reader: Reader,
  names: readonly string[],
): Promise<readonly RepositorySummary[]> {
  const found: RepositorySummary[] = [];
  for (const some of inChunks(names)) {
    const rows = await reader
      .selectFrom("repositories")
      .select(["id", "name", "visibility", "created_at"])
      .where("name", "in", some)
      .orderBy("name")
      .execute();
    found.push(...rows.map(({ created_at: createdAt, ...row }) => ({ ...row, createdAt })));
  }
  return found;
}

/** No name has a sign above these. */
export const afterAllNames = "~";

/** The visible repositories whose names begin so, in byte order. */
export async function listRepositorySummaries(
  registry: Registry,
  visible: Visible,
  { prefix, ...page }: PageRequest & { readonly prefix: string },
): Promise<Page<RepositorySummary>> {
  const { items, isLast } = await listRepositories(registry, beginningWith(visible, prefix), page);
  return { items: await summarizeRepositories(registry.database.read, items), isLast };
}

function beginningWith([first, ...others]: Visible, prefix: string): Visible {
  const within =
    (condition: Visible[0]): Visible[0] =>
    (expression) =>
      expression.and([
        condition(expression),
        expression("repositories.name", ">=", prefix),
        expression("repositories.name", "<", `${prefix}${afterAllNames}`),
      ]);
  return prefix === "" ? [first, ...others] : [within(first), ...others.map(within)];
}

export interface TagSummary {
  readonly name: string;
  readonly digest: Digest;
  readonly mediaType: string;
  /** Of the manifest alone. */
  readonly sizeBytes: number;
  readonly createdAt: number;
  readonly updatedAt: number;
}

interface TagPage extends PageRequest {
  /** Only those that name it. */
  readonly digest?: Digest | undefined;
}

/** A repository's tags, in byte order; none of a repository that does not exist. */
export async function listTagSummaries(
  { database }: Registry,
  repository: RepositoryName,
  { after = "", limit, digest }: TagPage,
): Promise<Page<TagSummary>> {
  const rows = await selectTags(database.read, repository)
    .where("tags.name", ">", after)
    .$if(digest !== undefined, (query) => query.where("tags.digest", "=", digest ?? ""))
    .orderBy("tags.name")
    .limit(limit + 1)
    .execute();
  return toPage(rows.map(toTagSummary), limit);
}

export async function findTagSummary(
  read: Reader,
  repository: RepositoryName,
  tag: string,
): Promise<TagSummary | undefined> {
  const row = await selectTags(read, repository).where("tags.name", "=", tag).executeTakeFirst();
  return row && toTagSummary(row);
}

const selectTags = (reader: Reader, repository: RepositoryName) =>
  reader
    .selectFrom("tags")
    .innerJoin("manifests", "manifests.digest", "tags.digest")
    .select([
      "tags.name",
      "tags.digest",
      "tags.created_at",
      "tags.updated_at",
      "manifests.media_type",
      "manifests.size_bytes",
    ])
    .where("tags.repository_id", "=", idOfRepository(repository));

type TagRow = Awaited<ReturnType<ReturnType<typeof selectTags>["execute"]>>[number];

const toTagSummary = (row: TagRow): TagSummary => ({
  name: row.name,
  digest: asDigest(row.digest),
  mediaType: row.media_type,
  sizeBytes: row.size_bytes,
  createdAt: row.created_at,
  updatedAt: row.updated_at,
});

export interface ManifestSummary {
  readonly digest: Digest;
  readonly mediaType: string;
  readonly sizeBytes: number;
  readonly artifactType: string | undefined;
  readonly subject: string | undefined;
  readonly pushedAt: number;
}

/** A repository's manifests, those without a tag too, in the order of their digests. */
export async function listManifestSummaries(
  { database }: Registry,
  repository: RepositoryName,
  { after = "", limit }: PageRequest,
): Promise<Page<ManifestSummary>> {
  const rows = await database.read
    .selectFrom("repository_manifests")
    .innerJoin("manifests", "manifests.digest", "repository_manifests.digest")
    .select([
      "repository_manifests.digest",
      "repository_manifests.pushed_at",
      "manifests.media_type",
      "manifests.size_bytes",
      "manifests.artifact_type",
      "manifests.subject",
    ])
    .where("repository_manifests.repository_id", "=", idOfRepository(repository))
    .where("repository_manifests.digest", ">", after)
    .orderBy("repository_manifests.digest")
    .limit(limit + 1)
    .execute();
  return toPage(
    rows.map((row) => ({
      digest: asDigest(row.digest),
      mediaType: row.media_type,
      sizeBytes: row.size_bytes,
      artifactType: row.artifact_type ?? undefined,
      subject: row.subject ?? undefined,
      pushedAt: row.pushed_at,
    })),
    limit,
  );
}

/** Which of the digests the repository has as manifests. */
export const presentManifests = (
  { database }: Registry,
  repository: RepositoryName,
  digests: readonly string[],
): Promise<ReadonlySet<string>> =>
  present(digests, (some) =>
    database.read
      .selectFrom("repository_manifests")
      .select("digest")
      .where("repository_id", "=", idOfRepository(repository))
      .where("digest", "in", some)
      .execute(),
  );

/** Which of the digests the repository has as blobs that are whole, as far as anybody knows. */
export const presentBlobs = (
  { database }: Registry,
  repository: RepositoryName,
  digests: readonly string[],
): Promise<ReadonlySet<string>> =>
  present(digests, (some) =>
    database.read
      .selectFrom("repository_blobs")
      .innerJoin("blobs", "blobs.digest", "repository_blobs.digest")
      .select("repository_blobs.digest")
      .where("repository_blobs.repository_id", "=", idOfRepository(repository))
      .where("repository_blobs.digest", "in", some)
      .where("blobs.damaged_at", "is", null)
      .execute(),
  );

async function present(
  digests: readonly string[],
  find: (some: readonly string[]) => Promise<readonly { readonly digest: string }[]>,
): Promise<ReadonlySet<string>> {
  const found = new Set<string>();
  for (const some of inChunks(digests)) for (const { digest } of await find(some)) found.add(digest);
  return found;
}
