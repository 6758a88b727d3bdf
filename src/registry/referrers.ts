import { algorithmOf, type Digest, parseDigest } from "../oci/digest.ts";
import type { JsonObject, JsonValue } from "../oci/json.ts";
import { readIndexEntries } from "../oci/manifest.ts";
import { ociIndex } from "../oci/media-type.ts";
import { parseTag, type RepositoryName, type Tag } from "../oci/names.ts";
import type { Registry } from "./registry.ts";
import { findRepository, type Page } from "./repositories.ts";

export interface ReferrersRequest {
  readonly repository: RepositoryName;
  readonly subject: Digest;
  readonly artifactType: string | undefined;
  /** Digests after this value, which need not exist. */
  readonly after: string | undefined;
  readonly mostItems: number;
  /** Of the descriptors as JSON. */
  readonly mostBytes: number;
}

/** The descriptor of a referrer (distribution-spec, "Listing referrers"). */
export type ReferrerDescriptor = JsonObject & { readonly digest: string };

/**
 * The manifests whose subject is a digest, in the order of their digests; those that a client keeps under the fallback
 * tag of registries without this list are among them. None is no error, also where there is no such repository.
 */
export async function listReferrers(registry: Registry, request: ReferrersRequest): Promise<Page<ReferrerDescriptor>> {
  const repositoryId = await findRepository(registry, request.repository);
  if (repositoryId === undefined) return { items: [], isLast: true };
  const rows = await readRows(registry, repositoryId, request);
  const fallback = await readFallback(registry, repositoryId, request);
  const known = new Set(rows.map((row) => row.digest));
  const merged = [...rows, ...fallback.filter(({ digest }) => !known.has(digest))].toSorted((a, b) =>
    a.digest < b.digest ? -1 : 1,
  );
  return cutToSize(merged, request);
}

async function readRows(
  { database }: Registry,
  repositoryId: number,
  { subject, artifactType, after, mostItems }: ReferrersRequest,
): Promise<readonly ReferrerDescriptor[]> {
  const rows = await database.read
    .selectFrom("repository_manifests")
    .innerJoin("manifests", "manifests.digest", "repository_manifests.digest")
    .select([
      "manifests.digest",
      "manifests.media_type",
      "manifests.size_bytes",
      "manifests.artifact_type",
      "manifests.annotations",
    ])
    .where("repository_manifests.repository_id", "=", repositoryId)
    .where("repository_manifests.subject", "=", subject)
    .$if(artifactType !== undefined, (query) =>
      query.where("repository_manifests.artifact_type", "=", artifactType ?? ""),
    )
    .$if(after !== undefined, (query) => query.where("repository_manifests.digest", ">", after ?? ""))
    .orderBy("repository_manifests.digest")
    .limit(mostItems + 1)
    .execute();
  return rows.map((row) => ({
    mediaType: row.media_type,
    digest: row.digest,
    size: row.size_bytes,
    ...(row.artifact_type === null ? {} : { artifactType: row.artifact_type }),
    ...(row.annotations === null ? {} : { annotations: parseAnnotations(row.annotations) }),
  }));
}

// oxlint-disable-next-line typescript/no-unsafe-type-assertion -- as pushManifest wrote it
const parseAnnotations = (json: string): JsonValue => JSON.parse(json) as JsonValue;

/** `sha256-<hex>`, cut as the referrers tag schema says (distribution-spec, "Referrers Tag Schema"). */
function fallbackTag(subject: Digest): Tag | undefined {
  const algorithm = algorithmOf(subject);
  return parseTag(`${algorithm.slice(0, 32)}-${subject.slice(algorithm.length + 1).slice(0, 64)}`);
}

async function readFallback(
  { database }: Registry,
  repositoryId: number,
  { subject, artifactType, after }: ReferrersRequest,
): Promise<readonly ReferrerDescriptor[]> {
  const row = await database.read
    .selectFrom("tags")
    .innerJoin("manifests", "manifests.digest", "tags.digest")
    .select("manifests.bytes")
    .where("tags.repository_id", "=", repositoryId)
    .where("tags.name", "=", fallbackTag(subject) ?? "")
    .where("manifests.media_type", "=", ociIndex)
    .executeTakeFirst();
  if (row === undefined) return [];
  return readIndexEntries(row.bytes)
    .filter(isDescriptor)
    .filter(({ digest }) => after === undefined || digest > after)
    .filter((entry) => artifactType === undefined || entry["artifactType"] === artifactType);
}

const isDescriptor = (entry: JsonObject): entry is ReferrerDescriptor =>
  typeof entry["digest"] === "string" && parseDigest(entry["digest"]) !== undefined;

/** At least one, so that following the pages ends. */
function cutToSize(
  all: readonly ReferrerDescriptor[],
  { mostItems, mostBytes }: ReferrersRequest,
): Page<ReferrerDescriptor> {
  let bytes = 0;
  let count = 0;
  for (const descriptor of all) {
    bytes += Buffer.byteLength(JSON.stringify(descriptor)) + 1;
    if (count > 0 && (bytes > mostBytes || count >= mostItems)) break;
    count++;
  }
  return { items: all.slice(0, count), isLast: count === all.length };
}
