import { algorithmOf, type Digest } from "../oci/digest.ts";
import { fail } from "../oci/problem.ts";
import { chunksOf } from "../platform/blobs/blob-body.ts";
import type { BlobKey, BlobStore } from "../platform/blobs/blob-store.ts";
import { recent } from "../platform/caches/recent.ts";
import { clock } from "../platform/database/clock.ts";
import { recordEvents } from "../platform/events/record-events.ts";
import { prepared } from "../platform/database/prepared.ts";
import { type StoredBlob, storedKey } from "./blobs.ts";
import { type Registry, writeChange } from "./registry.ts";
import { startHash } from "./uploads/running-hashes.ts";

/**
 * Looks whether the store has as many bytes as belong to the blob, though not at the bytes. What is damaged is unknown
 * to those who ask for it, so that a client that still has it sends it again.
 * @throws RegistryError BLOB_DAMAGED
 */
export async function requireWhole({ blobs }: Registry, { digest, key, sizeBytes }: StoredBlob): Promise<void> {
  if ((await blobs.stat(key))?.sizeBytes !== sizeBytes) fail({ code: "BLOB_DAMAGED", digest });
}

/** Which bytes went through a hash here and were right; forgets them as time goes by. */
export interface VerifiedBytes {
  remember(bytes: VersionOfBytes): void;
  /** Runs `read` unless these bytes were found right before. Those who ask at once share one answer. */
  isRight(bytes: VersionOfBytes, read: () => Promise<boolean>): Promise<boolean>;
}

interface VersionOfBytes {
  readonly key: BlobKey;
  readonly version: string;
}

/** Each is a piece of memory of its own among what is short-lived, and few digests are pushed that are here. */
const mostRemembered = 1000;
/** A disk may lose what it had an hour ago. */
const rememberedMs = 3_600_000;

export function verifiedBytes(): VerifiedBytes {
  const right = recent<true>({ most: mostRemembered, forMs: rememberedMs });
  const reading = new Map<string, Promise<boolean>>();
  return {
    remember: (bytes) => right.set(nameOf(bytes), true),
    async isRight(bytes, read) {
      const name = nameOf(bytes);
      if (right.get(name) === true) return true;
      const known = reading.get(name);
      if (known !== undefined) return known;
      const answer = read()
        .catch(() => false)
        .finally(() => reading.delete(name));
      reading.set(name, answer);
      if (await answer) right.set(name, true);
      return answer;
    },
  };
}

const nameOf = ({ key, version }: VersionOfBytes): string => `${key} ${version}`;

/**
 * The key under which a digest's bytes are missing, cut short or not what they were. For who has the right bytes in
 * hand. What came in here is not read again before it has changed or an hour has passed; all else is read once.
 */
export async function findDamage(registry: Registry, digest: Digest): Promise<BlobKey | undefined> {
  const { blobs, verified } = registry;
  const [row] = await findRow(registry.database, { digest });
  if (row === undefined) return undefined;
  const key = storedKey(row.blob_key);
  if (row.damaged_at !== null) return key;
  const [looked] = await Promise.allSettled([blobs.stat(key)]);
  const facts = looked.status === "fulfilled" ? looked.value : undefined;
  if (facts === undefined || facts.sizeBytes !== row.size_bytes) return key;
  const isRight = await verified.isRight({ key, version: facts.version }, () => hasDigest(blobs, key, digest));
  return isRight ? undefined : key;
}

/**
 * Keeps the bytes under this key from everyone until the content is pushed again, or gives them back. Bytes that took
 * their place meanwhile are not concerned.
 */
export async function withholdBlob(
  { database, by }: Registry,
  { digest, key }: Omit<StoredBlob, "sizeBytes">,
  isWithheld: boolean,
): Promise<void> {
  await writeChange({ database, by }, async (tx) => {
    const changed = await tx
      .updateTable("blobs")
      .set({ damaged_at: isWithheld ? clock(database.dialect) : null })
      .where("digest", "=", digest)
      .where("blob_key", "=", key)
      .returning("damaged_at")
      .executeTakeFirst();
    if (changed !== undefined) recordEvents(tx, { kind: "blob-withheld", digest, key, at: changed.damaged_at });
  });
}

const findRow = prepared((read, { digest }: { readonly digest: string }) =>
  read.selectFrom("blobs").select(["blob_key", "size_bytes", "damaged_at"]).where("digest", "=", digest),
);

async function hasDigest(blobs: BlobStore, key: BlobKey, digest: Digest): Promise<boolean> {
  const body = await blobs.open(key);
  if (body === undefined) return false;
  const hash = startHash(algorithmOf(digest));
  for await (const chunk of chunksOf(body)) hash.update(chunk);
  return hash.digest() === digest;
}
