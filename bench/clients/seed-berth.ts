import { closeSync, openSync } from "node:fs";
import { join } from "node:path";
import { openRegistry } from "../../src/cli/open-registry.ts";
import type { Digest } from "../../src/oci/digest.ts";
import { ociIndex, ociManifest } from "../../src/oci/media-type.ts";
import { type BlobKey, newBlobKey } from "../../src/platform/blobs/blob-store.ts";
import { loadConfig } from "../../src/platform/config/load-config.ts";
import { applyEvents } from "../../src/registry/apply-events.ts";
import type { CompleteEvent } from "../../src/registry/stored-events.ts";
import { digestOf as sha256, repositoryName, tagName } from "../../test/support/registry.ts";
import { repository, tagOf } from "./fill.ts";

/**
 * Fills a data folder before its server starts, by what a rebuild takes to make the tables of a journal: a hundred
 * thousand pushes would take an hour on some disks.
 */
async function seed(data: string, events: Iterable<CompleteEvent>): Promise<void> {
  const registry = await openRegistry(loadConfig({ file: undefined, flags: { data }, environment: {} }));
  const { database } = registry;
  const apply = async (some: readonly CompleteEvent[]): Promise<void> => {
    const unapplied = await database.write((tx) => applyEvents(database, tx, some));
    if (unapplied.length > 0) throw new Error(`${unapplied.length} rows were not made`);
  };
  let waiting: CompleteEvent[] = [];
  for (const event of events) {
    waiting.push(event);
    if (waiting.length < eventsAtOnce) continue;
    await apply(waiting);
    waiting = [];
  }
  await apply(waiting);
  await database.close();
}

const eventsAtOnce = 20_000;
const at = Date.now();
const home = repositoryName(repository);

function* repositories(count: number): Generator<CompleteEvent> {
  for (let index = 0; index < count; index++) {
    const name = repositoryName(`team-${index % 100}/app-${String(index).padStart(6, "0")}`);
    yield { kind: "repository-created", repository: name, at };
  }
}

export const seedRepositories = (data: string, count: number): Promise<void> => seed(data, repositories(count));

interface StoredManifest {
  readonly bytes: Uint8Array;
  readonly digest: Digest;
  readonly mediaType: string;
}

function* manifests(stored: Iterable<StoredManifest>): Generator<CompleteEvent> {
  yield { kind: "repository-created", repository: home, at };
  // Runs of one kind go into the database by the statement, not by the row.
  const all = [...stored];
  for (const { bytes, digest, mediaType } of all) {
    yield { kind: "manifest-stored", digest, mediaType, sizeBytes: bytes.byteLength, bytes };
  }
  for (const { digest } of all) yield { kind: "manifest-pushed", repository: home, digest, at };
}

function* tags(digest: Digest, count: number): Generator<CompleteEvent> {
  for (let index = 0; index < count; index++) {
    yield { kind: "tag-created", repository: home, tag: tagName(tagOf(index)), digest, createdAt: at, at };
  }
}

/** A repository of one image under many tags. */
export function seedTags(data: string, image: Uint8Array, count: number): Promise<void> {
  const digest = sha256(image);
  return seed(
    data,
    (function* () {
      yield* manifests([{ bytes: image, digest, mediaType: ociManifest }]);
      yield* tags(digest, count);
    })(),
  );
}

function indexOf(fields: object): StoredManifest {
  const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: ociIndex, manifests: [], ...fields }));
  return { bytes, digest: sha256(bytes), mediaType: ociIndex };
}

/** An image's subject with many artifacts that refer to it; its digest. */
export async function seedReferrers(data: string, count: number): Promise<string> {
  const image = indexOf({});
  const subject = { mediaType: ociIndex, digest: image.digest, size: image.bytes.byteLength };
  const artifacts = Array.from({ length: count }, (_, index) =>
    indexOf({ subject, artifactType: "application/vnd.example.sbom", annotations: { number: String(index) } }),
  );
  await seed(data, manifests([image, ...artifacts]));
  return image.digest;
}

const byDigest = (a: { readonly digest: string }, b: { readonly digest: string }): number =>
  a.digest < b.digest ? -1 : 1;

/** In the order of the rows, and the files in that of the folders: a sixth of the time. */
function* blobs(keys: readonly BlobKey[]): Generator<CompleteEvent> {
  yield { kind: "repository-created", repository: home, at };
  const stored = keys.map((key) => ({ key, digest: sha256(key) })).toSorted(byDigest);
  for (const { digest, key } of stored) yield { kind: "blob-stored", digest, key, sizeBytes: 0, at };
  for (const { digest } of stored) yield { kind: "blob-added", repository: home, digest };
}

/**
 * Blobs with their rows, and the files of one in twenty, which are empty: enough to see a start that walks them, which none
 * should, and a disk is not busy for minutes.
 */
export async function seedBlobs(data: string, count: number): Promise<void> {
  const keys = Array.from({ length: count }, newBlobKey).toSorted();
  await seed(data, blobs(keys));
  // The mode says that the row is known to be there.
  for (const key of keys.filter((_, index) => index % 20 === 0))
    closeSync(openSync(join(data, "blobs", key.slice(0, 2), key), "w", 0o640));
}
