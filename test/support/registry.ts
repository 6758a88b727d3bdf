import { server } from "../../src/platform/events/access-event.ts";
import { createHash } from "node:crypto";
import { type Digest, type DigestAlgorithm, parseDigest } from "../../src/oci/digest.ts";
import { type Manifest, parseManifest } from "../../src/oci/manifest.ts";
import { dockerManifest, ociIndex, ociManifest } from "../../src/oci/media-type.ts";
import { parseRepositoryName, parseTag, type RepositoryName, type Tag } from "../../src/oci/names.ts";
import { type Problem, RegistryError } from "../../src/oci/problem.ts";
import type { BlobStore } from "../../src/platform/blobs/blob-store.ts";
import { memoryBlobStore } from "../../src/platform/blobs/memory/memory-blob-store.ts";
import type { Database } from "../../src/platform/database/database.ts";
import { type ManifestPush, pushManifest, type PushedManifest } from "../../src/registry/push-manifest.ts";
import { type RemovedRepository, removeRepository } from "../../src/registry/delete-repository.ts";
import { type Registry, type RegistrySettings, writeChange } from "../../src/registry/registry.ts";
import { pushBlob } from "../../src/registry/uploads/finish-upload.ts";
import { clockWatch } from "../../src/registry/clock-watch.ts";
import { verifiedBytes } from "../../src/registry/sound-blob.ts";
import { runningHashes } from "../../src/registry/uploads/running-hashes.ts";

const hourMs = 3_600_000;

export const testSettings: RegistrySettings = {
  leaseMs: hourMs,
  deleteDelayMs: hourMs,
  sparseIndexes: true,
  sparseImages: false,
  uploads: { holdMs: 30_000, idleMs: hourMs, maxBytes: 1_000_000, maxSessions: 100, maxSessionsPerPrincipal: 50 },
};

/** A registry on a test's database, its bytes in memory. */
export function testRegistry(database: Database, parts: Partial<Registry> = {}): Registry {
  return {
    by: server,
    database,
    blobs: memoryBlobStore(),
    process: "test",
    writeRules: [],
    visibilityOfNew: async () => "private",
    furnish: async () => undefined,
    readGates: [],
    hashes: runningHashes(),
    verified: verifiedBytes(),
    clockWatch: clockWatch(),
    settings: testSettings,
    ...parts,
  };
}

/** Counts how often a store's bytes are read. */
export function countedStore(): { readonly blobs: BlobStore; readonly opened: () => number } {
  const blobs = memoryBlobStore();
  let count = 0;
  return {
    blobs: {
      ...blobs,
      open(key, range) {
        count += 1;
        return blobs.open(key, range);
      },
    },
    opened: () => count,
  };
}

export const keysOf = async (blobs: BlobStore): Promise<readonly string[]> =>
  (await Array.fromAsync(blobs.list())).map(({ key }) => key);

function must<T>(value: T | undefined, what: string): T {
  if (value === undefined) throw new Error(`not ${what}`);
  return value;
}

export const repositoryName = (text: string): RepositoryName => must(parseRepositoryName(text), `a name: ${text}`);
export const tagName = (text: string): Tag => must(parseTag(text), `a tag: ${text}`);
export const digestOf = (bytes: Uint8Array | string, algorithm: DigestAlgorithm = "sha256"): Digest =>
  must(parseDigest(`${algorithm}:${createHash(algorithm).update(bytes).digest("hex")}`), "a digest");

export async function* chunks(...texts: readonly string[]): AsyncGenerator<Uint8Array> {
  for (const text of texts) yield Buffer.from(text);
}

/** Puts a blob into a repository in one request. */
export async function storeBlob(registry: Registry, repository: RepositoryName, text: string): Promise<Digest> {
  const digest = digestOf(text);
  await pushBlob(
    registry,
    { repository, principal: "tester", algorithm: "sha256" },
    { digest, chunks: chunks(text), lengthBytes: Buffer.byteLength(text) },
  );
  return digest;
}

export interface TestManifest {
  readonly digest: Digest;
  readonly bytes: Uint8Array;
  readonly manifest: Manifest;
}

const descriptor = (digest: Digest, mediaType: string) => ({ mediaType, digest, size: 1 });

export function manifestOf(body: Readonly<Record<string, unknown>>, contentType: string = ociManifest): TestManifest {
  const bytes = Buffer.from(JSON.stringify(body));
  return { digest: digestOf(bytes), bytes, manifest: parseManifest(bytes, contentType) };
}

/** An image whose config is its first blob. `fields` go into the body, so that two of them can differ. */
export function imageOf(
  [config, ...layers]: readonly [Digest, ...Digest[]],
  fields: Readonly<Record<string, unknown>> = {},
): TestManifest {
  return manifestOf({
    schemaVersion: 2,
    mediaType: ociManifest,
    config: descriptor(config, "application/vnd.oci.image.config.v1+json"),
    layers: layers.map((layer) => descriptor(layer, "application/vnd.oci.image.layer.v1.tar+gzip")),
    ...fields,
  });
}

export function indexOf(children: readonly Digest[], fields: Readonly<Record<string, unknown>> = {}): TestManifest {
  const manifests = children.map((child) => descriptor(child, ociManifest));
  return manifestOf({ schemaVersion: 2, mediaType: ociIndex, manifests, ...fields }, ociIndex);
}

export const dockerImageOf = ([config, ...layers]: readonly [Digest, ...Digest[]]): TestManifest =>
  manifestOf(
    {
      schemaVersion: 2,
      mediaType: dockerManifest,
      config: descriptor(config, "application/vnd.docker.container.image.v1+json"),
      layers: layers.map((layer) => descriptor(layer, "application/vnd.docker.image.rootfs.diff.tar.gzip")),
    },
    dockerManifest,
  );

export const subjectOf = (subject: Digest) => ({ subject: descriptor(subject, ociManifest) });

/** Pushes with every right, under tags written as text. */
export const push = (
  registry: Registry,
  repository: RepositoryName,
  {
    of,
    tags = [],
    ...more
  }: { readonly of: TestManifest; readonly tags?: readonly string[] } & Partial<Omit<ManifestPush, "tags">>,
): Promise<PushedManifest> =>
  pushManifest(registry, {
    repository,
    ...of,
    tags: tags.map(tagName),
    ...more,
  });

/** @returns what went with it; `undefined` where there is no such repository */
export const deleteRepository = (
  registry: Registry,
  repository: RepositoryName,
): Promise<RemovedRepository | undefined> => writeChange(registry, (tx) => removeRepository(registry, tx, repository));

/** What a call was refused with; nothing where it was not. Any other failure fails the test. */
export async function problemsOf(call: Promise<unknown>): Promise<readonly Problem[]> {
  const [outcome] = await Promise.allSettled([call]);
  if (outcome.status === "fulfilled") return [];
  if (outcome.reason instanceof RegistryError) return outcome.reason.problems;
  throw outcome.reason;
}

export const codesOf = async (call: Promise<unknown>): Promise<readonly string[]> =>
  (await problemsOf(call)).map(({ code }) => code);

/** The names of a repository's tags with what they name. */
export async function tagsOf({ database }: Registry, repository: RepositoryName): Promise<Record<string, string>> {
  const rows = await database.read
    .selectFrom("tags")
    .innerJoin("repositories", "repositories.id", "tags.repository_id")
    .select(["tags.name", "tags.digest"])
    .where("repositories.name", "=", repository)
    .orderBy("tags.name")
    .execute();
  return Object.fromEntries(rows.map(({ name, digest }) => [name, digest]));
}

/** The leases of a repository's blobs, each as what is left of it. */
export async function leasesOf({ database }: Registry, repository: RepositoryName): Promise<Record<string, number>> {
  const rows = await database.read
    .selectFrom("repository_blobs")
    .innerJoin("repositories", "repositories.id", "repository_blobs.repository_id")
    .select(["repository_blobs.digest", "repository_blobs.leased_until"])
    .where("repositories.name", "=", repository)
    .execute();
  return Object.fromEntries(rows.map(({ digest, leased_until }) => [digest, leased_until - Date.now()]));
}

/** Lets leases run out that have not yet, those of a digest or all. */
export async function endLeases({ database }: Registry, digest?: Digest): Promise<void> {
  await database.write((tx) =>
    tx
      .updateTable("repository_blobs")
      .set({ leased_until: 1 })
      .$if(digest !== undefined, (query) => query.where("digest", "=", digest ?? ""))
      .where("leased_until", "<", Number.MAX_SAFE_INTEGER)
      .execute(),
  );
}

/** How many rows each of the registry's tables has. */
export async function countRows({ database }: Registry): Promise<Readonly<Record<string, number>>> {
  const tables = ["blobs", "repository_blobs", "doomed_blobs", "manifests", "repository_manifests", "edges"] as const;
  const counts: Record<string, number> = {};
  for (const table of [...tables, "repositories", "doomed_repositories", "tags", "uploads"] as const) {
    const { count } = await database.read
      .selectFrom(table)
      .select(({ fn }) => fn.countAll<number>().as("count"))
      .executeTakeFirstOrThrow();
    counts[table] = count;
  }
  return counts;
}
