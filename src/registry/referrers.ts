import { algorithmOf, type Digest, parseDigest } from "../oci/digest.ts";
import type { JsonObject, JsonValue } from "../oci/json.ts";
import { readIndexEntries } from "../oci/manifest.ts";
import { ociIndex } from "../oci/media-type.ts";
import { parseTag, type RepositoryName, type Tag } from "../oci/names.ts";
import type { Reader } from "../platform/database/database.ts";
import { type Given, prepared } from "../platform/database/prepared.ts";
import type { Registry } from "./registry.ts";
import { idOfRepository, type Page } from "./repositories.ts";

export interface ReferrersRequest {
  readonly repository: RepositoryName;
  readonly subject: Digest;
  /** One of these; of any when there are none. */
  readonly artifactTypes: readonly string[];
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
  const fallback = await readFallback(registry, request);
  const rows = await readRows(registry, request);
  const last = rows.items.at(-1)?.digest;
  // Beyond the last row that was read there may be more rows: what lies there is for the next page.
  const within = fallback.filter(({ digest }) => rows.isLast || digest < (last ?? ""));
  // A row says more surely what a referrer is than the entry that a client wrote of it.
  const merged = new Map([...within, ...rows.items].map((item) => [item.digest, item]));
  const sorted = [...merged.values()].toSorted((a, b) => (a.digest < b.digest ? -1 : 1));
  const page = cutToSize(sorted, request);
  return { items: page.items, isLast: page.isLast && rows.isLast };
}

/**
 * Sizes first: annotations may have megabytes each, and only one page of them is ever read. The page is that of the
 * moment of the first query: what is pushed until the second is not on it, and where one of it has gone by then, both are
 * asked again. A page that just left it out would be one of no moment.
 */
async function readRows(registry: Registry, request: ReferrersRequest): Promise<Page<ReferrerDescriptor>> {
  const { database } = registry;
  const { repository, subject, after = "", artifactTypes, mostItems } = request;
  // One more than fit on a page: it tells whether there is a next one.
  const asked = { repository, subject, after, limit: mostItems + 1 };
  const sized = await (artifactTypes.length === 0
    ? sizesOfAny(database, asked)
    : sizesOf(ofTypes(selectReferrers(database.read, asked), artifactTypes)).execute());
  const count = countWithin(
    sized.map((row) => row.descriptor_bytes),
    request,
  );
  const last = sized[count - 1]?.digest;
  if (last === undefined) return { items: [], isLast: true };
  const isLast = count === sized.length;
  const page = new Set(sized.slice(0, count).map(({ digest }) => digest));
  const until = { ...asked, last };
  const rows = await (artifactTypes.length === 0
    ? rowsOfAny(database, until)
    : rowsUntil(ofTypes(selectReferrers(database.read, until), artifactTypes), until).execute());
  const items = rows
    .filter(({ digest }) => page.has(digest))
    .map((row) => ({
      mediaType: row.media_type,
      digest: row.digest,
      size: row.size_bytes,
      ...(row.artifact_type === null ? {} : { artifactType: row.artifact_type }),
      ...(row.annotations === null ? {} : { annotations: parseAnnotations(row.annotations) }),
    }));
  return items.length === count ? { items, isLast } : readRows(registry, request);
}

interface Asked {
  readonly repository: string;
  readonly subject: string;
  readonly after: string;
  readonly limit: number;
}

interface AskedUntil extends Asked {
  readonly last: string;
}

const selectReferrers = (read: Reader, { repository, subject, after, limit }: Asked) =>
  read
    .selectFrom("repository_manifests")
    .innerJoin("manifests", "manifests.digest", "repository_manifests.digest")
    .select("repository_manifests.digest")
    .where("repository_manifests.repository_id", "=", idOfRepository(repository))
    .where("repository_manifests.subject", "=", subject)
    .where("repository_manifests.digest", ">", after)
    .orderBy("repository_manifests.digest")
    .limit(limit);

type Selected = ReturnType<typeof selectReferrers>;

const ofTypes = (query: Selected, types: readonly string[]): Selected =>
  query.where("repository_manifests.artifact_type", "in", types);

const sizesOf = (query: Selected) => query.select("manifests.descriptor_bytes");

const rowsUntil = (query: Selected, { last }: Pick<AskedUntil, "last">) =>
  query
    .where("repository_manifests.digest", "<=", last)
    .select(["media_type", "size_bytes", "manifests.artifact_type", "annotations"]);

/** Most ask for no type: to build both took a fifth of the time of a page. */
const sizesOfAny = prepared((read, given: Asked & Given) => sizesOf(selectReferrers(read, given)));
const rowsOfAny = prepared((read, given: AskedUntil & Given) => rowsUntil(selectReferrers(read, given), given));

// oxlint-disable-next-line typescript/no-unsafe-type-assertion -- as pushManifest wrote it
const parseAnnotations = (json: string): JsonValue => JSON.parse(json) as JsonValue;

/** `sha256-<hex>`, cut as the referrers tag schema says (distribution-spec, "Referrers Tag Schema"). */
function fallbackTag(subject: Digest): Tag | undefined {
  const algorithm = algorithmOf(subject);
  return parseTag(`${algorithm.slice(0, 32)}-${subject.slice(algorithm.length + 1).slice(0, 64)}`);
}

async function readFallback(
  { database }: Registry,
  { repository, subject, artifactTypes, after }: ReferrersRequest,
): Promise<readonly ReferrerDescriptor[]> {
  const [row] = await fallbackIndex(database, { repository, tag: fallbackTag(subject) ?? "" });
  if (row === undefined) return [];
  return readIndexEntries(row.bytes)
    .filter(isDescriptor)
    .filter(({ digest }) => after === undefined || digest > after)
    .filter(({ artifactType }) => artifactTypes.length === 0 || artifactTypes.some((type) => type === artifactType));
}

const fallbackIndex = prepared((read, given: { readonly repository: string; readonly tag: string }) =>
  read
    .selectFrom("repositories")
    .innerJoin("tags", "tags.repository_id", "repositories.id")
    .innerJoin("manifests", "manifests.digest", "tags.digest")
    .select("manifests.bytes")
    .where("repositories.name", "=", given.repository)
    .where("tags.name", "=", given.tag)
    .where("manifests.media_type", "=", ociIndex),
);

const isDescriptor = (entry: JsonObject): entry is ReferrerDescriptor =>
  typeof entry["digest"] === "string" && parseDigest(entry["digest"]) !== undefined;

function cutToSize(all: readonly ReferrerDescriptor[], request: ReferrersRequest): Page<ReferrerDescriptor> {
  const sizes = all.map((descriptor) => Buffer.byteLength(JSON.stringify(descriptor)) + 1);
  const count = countWithin(sizes, request);
  return { items: all.slice(0, count), isLast: count === all.length };
}

/** How many of the first fit one page; at least one, so that following the pages ends. */
function countWithin(sizes: readonly number[], { mostItems, mostBytes }: ReferrersRequest): number {
  let bytes = 0;
  let count = 0;
  for (const size of sizes) {
    bytes += size;
    if (count > 0 && (bytes > mostBytes || count >= mostItems)) break;
    count++;
  }
  return count;
}
