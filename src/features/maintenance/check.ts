import { algorithmOf, type Digest, parseDigest } from "../../oci/digest.ts";
import { chunksOf } from "../../platform/blobs/blob-body.ts";
import type { BlobKey } from "../../platform/blobs/blob-store.ts";
import { inChunks } from "../../platform/database/in-chunks.ts";
import { storageProblem } from "../../platform/storage/storage-problem.ts";
import { storedKey } from "../../registry/blobs.ts";
import type { Registry } from "../../registry/registry.ts";
import { withholdBlob } from "../../registry/sound-blob.ts";
import { startHash } from "../../registry/uploads/running-hashes.ts";
import { checkRows } from "./check-rows.ts";
import type { Finding, Progress } from "./finding.ts";
import { unknownKeys } from "./unknown-keys.ts";

const pageSize = 200;

interface BlobRow {
  readonly digest: string;
  readonly blob_key: string;
  readonly size_bytes: number;
  readonly damaged_at: number | null;
}

export interface CheckOptions {
  /** Whether to withhold blobs whose bytes are damaged, and to give back those that are right again. */
  readonly quarantine: boolean;
  readonly onProgress: (progress: Progress) => void;
}

/**
 * Compares what the database says with itself and with the store, reading every byte. Goes on beside a running server:
 * what changes meanwhile is looked at once more before it is told.
 */
export async function* check(registry: Registry, { quarantine, onProgress }: CheckOptions): AsyncGenerator<Finding> {
  const { count } = await registry.database.read
    .selectFrom("blobs")
    .select(({ fn }) => fn.countAll<number>().as("count"))
    .executeTakeFirstOrThrow();
  const progress = { blobs: 0, ofBlobs: count, bytes: 0, files: 0 };
  yield* checkRows(registry);
  for await (const row of pageOfBlobs(registry)) {
    const finding = await checkBytes(registry, row, (bytes) => {
      progress.bytes += bytes;
      onProgress(progress);
    });
    progress.blobs += 1;
    onProgress(progress);
    if (finding === undefined || !(await isStill(registry, row))) continue;
    const isWell = quarantine && (await setQuarantine(registry, finding));
    if (!isWell) yield finding;
  }
  yield* findOrphans(registry, (files) => {
    progress.files += files;
    onProgress(progress);
  });
}

/** Damaged bytes are of no use to anyone; those that are right again are. @returns whether all is well now */
async function setQuarantine(registry: Registry, finding: Finding): Promise<boolean> {
  if (!("key" in finding && "digest" in finding)) return false;
  const isRight = finding.kind === "withheld-blob";
  await withholdBlob(registry, finding, !isRight);
  return isRight;
}

async function* pageOfBlobs({ database }: Registry): AsyncGenerator<BlobRow> {
  for (let after = ""; ;) {
    const rows = await database.read
      .selectFrom("blobs")
      .select(["digest", "blob_key", "size_bytes", "damaged_at"])
      .where("digest", ">", after)
      .orderBy("digest")
      .limit(pageSize)
      .execute();
    yield* rows;
    const last = rows.at(-1);
    if (last === undefined) return;
    after = last.digest;
  }
}

/** The collector may have taken it since the row was read. */
async function isStill({ database }: Registry, { digest, blob_key }: BlobRow): Promise<boolean> {
  const row = await database.read
    .selectFrom("blobs")
    .select("digest")
    .where("digest", "=", digest)
    .where("blob_key", "=", blob_key)
    .executeTakeFirst();
  return row !== undefined;
}

async function checkBytes(
  { blobs }: Registry,
  { digest: text, blob_key, size_bytes, damaged_at }: BlobRow,
  onBytes: (bytes: number) => void,
): Promise<Finding | undefined> {
  const digest = parseDigest(text);
  if (digest === undefined) return { kind: "invalid-digest", digest: text };
  const key = storedKey(blob_key);
  try {
    const body = await blobs.open(key);
    if (body === undefined) return { kind: "missing-bytes", digest, key };
    const found = await hashOf(chunksOf(body), digest, onBytes);
    if (found.sizeBytes !== size_bytes) {
      return { kind: "wrong-size", digest, key, expectedBytes: size_bytes, foundBytes: found.sizeBytes };
    }
    if (found.digest !== digest) return { kind: "wrong-bytes", digest, key, found: found.digest };
    return damaged_at === null ? undefined : { kind: "withheld-blob", digest, key };
  } catch (error) {
    if (storageProblem(error) === undefined) throw error;
    return { kind: "unreadable-bytes", digest, key, reason: error instanceof Error ? error.message : "" };
  }
}

async function hashOf(
  chunks: AsyncIterable<Uint8Array>,
  expected: Digest,
  onBytes: (bytes: number) => void,
): Promise<{ readonly digest: Digest; readonly sizeBytes: number }> {
  const hash = startHash(algorithmOf(expected));
  let sizeBytes = 0;
  for await (const chunk of chunks) {
    hash.update(chunk);
    sizeBytes += chunk.byteLength;
    onBytes(chunk.byteLength);
  }
  return { digest: hash.digest(), sizeBytes };
}

/** Bytes that the database does not know. An upload that ends right now is gone at the second look. */
async function* findOrphans({ blobs, database }: Registry, onFiles: (files: number) => void): AsyncGenerator<Finding> {
  const suspects: { readonly key: BlobKey; readonly finished: boolean }[] = [];
  const suspect = async (keys: readonly BlobKey[], finished: boolean): Promise<void> => {
    for (const key of await unknownKeys(database, keys)) suspects.push({ key, finished });
    onFiles(keys.length);
  };
  let page: BlobKey[] = [];
  for await (const { key } of blobs.list()) {
    page.push(key);
    if (page.length < pageSize) continue;
    await suspect(page, true);
    page = [];
  }
  await suspect(page, true);
  const unfinished = (await Array.fromAsync(blobs.unfinished())).map(({ key }) => key);
  for (const keys of inChunks(unfinished)) await suspect(keys, false);
  if (suspects.length === 0) return;
  await new Promise((resolve) => setTimeout(resolve, secondLookMs));
  const begun = new Set((await Array.fromAsync(blobs.unfinished())).map(({ key }) => key));
  for (const { key, finished } of suspects) {
    const isThere = finished ? (await blobs.open(key)) !== undefined : begun.has(key);
    if (isThere && (await unknownKeys(database, [key])).length > 0) yield { kind: "orphan-file", key, finished };
  }
}

const secondLookMs = 500;
