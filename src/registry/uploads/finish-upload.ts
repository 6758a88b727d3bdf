import { sql } from "kysely";
import { algorithmOf, type Digest } from "../../oci/digest.ts";
import type { RepositoryName } from "../../oci/names.ts";
import { fail, RegistryError } from "../../oci/problem.ts";
import { chunksOf } from "../../platform/blobs/blob-body.ts";
import { type BlobFacts, type BlobStat, UploadLostError } from "../../platform/blobs/blob-store.ts";
import { clock } from "../../platform/database/clock.ts";
import type { Writer } from "../../platform/database/database.ts";
import { type Given, prepared, type Reading, within } from "../../platform/database/prepared.ts";
import { recordEvents } from "../../platform/events/record-events.ts";
import { addBlobToRepository, addMember, doomBytes } from "../blobs.ts";
import { type Registry, writeChange } from "../registry.ts";
import { findDamage } from "../sound-blob.ts";
import { type Chunk, receive } from "./receive.ts";
import { startHash } from "./running-hashes.ts";
import {
  holdSession,
  overtaken,
  type Progress,
  removeSession,
  type Session,
  type UploadTarget,
  withSession,
} from "./session.ts";
import { type NewUpload, startSession } from "./start-upload.ts";

/** The last request of an upload; it may bring the last bytes, or all of them. */
export interface LastChunk extends Chunk {
  readonly digest: Digest;
  readonly start: number | undefined;
}

/**
 * Turns an upload into a blob of its repository, if its bytes have the digest (distribution-spec, "Pushing blobs").
 * @throws RegistryError DIGEST_INVALID (the session is gone), and all that appendUpload throws
 */
export async function finishUpload(registry: Registry, target: UploadTarget, last: LastChunk): Promise<void> {
  if (last.lengthBytes === 0 && (await finishLeft(registry, target, last))) return;
  await withSession(registry, { target, start: last.start }, (session) => finishSession(registry, session, last));
}

/**
 * An upload that a request of this process has just left needs no claim, which takes a seventh of its PUT: the transaction
 * that ends its session finds out whether anyone has touched it since, and until then nothing is done that another
 * writer would lose anything by.
 * @returns whether it was done; if not, by whoever claims the session
 */
async function finishLeft(registry: Registry, target: UploadTarget, { digest, start }: LastChunk): Promise<boolean> {
  const { id, repository, principal } = target;
  const left = registry.hashes.takeLeft(id);
  if (left === undefined || left.repository !== repository || left.principal !== principal) return false;
  const { sizeBytes, activeAt } = left;
  if (left.digest !== digest || (start ?? sizeBytes) !== sizeBytes) return false;
  try {
    const stat = await registry.blobs.finishAsIs(left.upload, sizeBytes);
    if (stat === undefined) return false;
    await commitBlob(registry, { repository, end: (write) => endUntouched(write, { id, activeAt }) }, { digest, stat });
  } catch (error) {
    if (isUnknown(error)) return false;
    // What is to be done with the session then is decided by who holds it. Where the commit has ended it, and only what
    // makes it durable failed, that is what there is to tell.
    return withSession(registry, { target, start }, () => Promise.reject(error)).catch((told: unknown) => {
      throw isUnknown(told) && !(error instanceof UploadLostError) ? error : told;
    });
  }
  registry.hashes.drop(id);
  return true;
}

const isUnknown = (error: unknown): boolean =>
  error instanceof RegistryError && error.problems.some(({ code }) => code === "BLOB_UPLOAD_UNKNOWN");

/** A blob in one request (distribution-spec, "Single POST"). */
export async function pushBlob(registry: Registry, upload: NewUpload, last: Omit<LastChunk, "start">): Promise<void> {
  const session = await startSession(registry, upload);
  await holdSession(registry, session, () => finishSession(registry, session, last)).catch(async (error: unknown) => {
    // Nobody was told the session's name, so nobody can go on with it.
    await removeSession(registry, session);
    throw error;
  });
}

async function finishSession(
  registry: Registry,
  session: Session,
  { digest, chunks, lengthBytes }: Omit<LastChunk, "start">,
): Promise<void> {
  const isFirst = session.sizeBytes === 0;
  const hash = registry.hashes.take(session.id, session.sizeBytes, isFirst ? algorithmOf(digest) : session.algorithm);
  const progress =
    lengthBytes === 0 && !isFirst
      ? { sizeBytes: session.sizeBytes, state: session.upload.state, digest: session.digest }
      : await receive(registry, { session, hash }, { chunks, lengthBytes });
  // Whoever has lost its hold ends nothing: the session is another's.
  if (session.hold.isOver()) throw overtaken();
  if (isKnown(progress, digest) && progress.digest !== digest) return refuse(registry, session, digest);
  const stat = await registry.blobs.finish({ key: session.upload.key, state: progress.state }, progress.sizeBytes);
  if (!isKnown(progress, digest) && (await hashAgain(registry, stat, digest)) !== digest) {
    return refuse(registry, session, digest);
  }
  const { repository, id, holder } = session;
  await commitBlob(registry, { repository, end: (write) => endSession(write, { id, holder }) }, { digest, stat });
}

/** Whether the hash that ran along is of the algorithm that the client chose in the end. */
const isKnown = (progress: Progress, wanted: Digest): boolean =>
  progress.digest !== undefined && algorithmOf(progress.digest) === algorithmOf(wanted);

async function hashAgain({ blobs }: Registry, { key }: BlobStat, wanted: Digest): Promise<Digest | undefined> {
  const body = await blobs.open(key);
  if (body === undefined) return undefined;
  const hash = startHash(algorithmOf(wanted));
  for await (const chunk of chunksOf(body)) hash.update(chunk);
  return hash.digest();
}

async function refuse(registry: Registry, session: Session, digest: Digest): Promise<never> {
  await removeSession(registry, session);
  return fail({ code: "DIGEST_INVALID", given: digest, reason: "the bytes received have another digest" });
}

interface Ending {
  readonly repository: RepositoryName;
  /** Ends the session, where it still is as it was believed to be; its row then. */
  readonly end: (write: Reading) => Promise<readonly unknown[]>;
}

/** The digest gets its key, the repository its blob, and the session ends: one transaction. */
async function commitBlob(
  registry: Registry,
  { repository, end }: Ending,
  { digest, stat }: { readonly digest: Digest; readonly stat: BlobStat & BlobFacts },
): Promise<void> {
  const { database, settings } = registry;
  const { key, sizeBytes } = stat;
  const damaged = await findDamage(registry, digest);
  await writeChange(registry, async (tx) => {
    const write = within(tx, database);
    // None needs another's answer.
    const [ended, [stored], added] = await Promise.all([
      end(write),
      storeBlob(write, { digest, key, sizeBytes }),
      addMember(write, { repository, digest, leaseMs: settings.leaseMs }),
    ]);
    if (ended.length === 0) fail({ code: "BLOB_UPLOAD_UNKNOWN" });
    const now = clock(database.dialect);
    if (stored === undefined) throw new Error("an upsert returned no row");
    const { blob_key, created_at } = stored;
    // The same content may have come in before: then those bytes stay and these go, unless those are damaged.
    const isStored = blob_key === key || blob_key === damaged;
    if (isStored) recordEvents(tx, { kind: "blob-stored", digest, key, sizeBytes, at: created_at });
    if (blob_key === damaged) {
      await replaceKey(tx, digest, stat);
      await doomBytes(tx, [{ blob_key, delete_after: sql<number>`${now} + ${sql.lit(settings.deleteDelayMs)}` }]);
    } else if (!isStored) {
      await doomBytes(tx, [{ blob_key: key, delete_after: now }]);
    }
    if (added.length > 0) recordEvents(tx, { kind: "blob-added", repository, digest });
    else await addBlobToRepository(registry, tx, { repository, digest });
  });
  registry.verified.remember(stat);
  // Nobody waits for it, and where it fails the row is looked for once more.
  void Promise.allSettled([registry.blobs.settle(stat.key)]);
}

const endSession = prepared((write, given: { readonly id: string; readonly holder: string }) =>
  write.deleteFrom("uploads").where("id", "=", given.id).where("holder", "=", given.holder).returning("id"),
);

const endUntouched = prepared((write, given: { readonly id: string; readonly activeAt: number }) =>
  write
    .deleteFrom("uploads")
    .where("id", "=", given.id)
    .where("holder", "is", null)
    .where("active_at", "=", given.activeAt)
    .returning("id"),
);

interface NewBlob {
  readonly digest: string;
  readonly key: string;
  readonly sizeBytes: number;
}

/** What the digest is stored under from now on: this key, or the one that it had. */
const storeBlob = prepared((write, { digest, key, sizeBytes }: NewBlob & Given, dialect) =>
  write
    .insertInto("blobs")
    .values({ digest, blob_key: key, size_bytes: sizeBytes, created_at: clock(dialect) })
    .onConflict((conflict) => conflict.column("digest").doUpdateSet({ digest }))
    .returning(["blob_key", "created_at"]),
);

/** The bytes of a digest are under another key from now on, and right. */
const replaceKey = (tx: Writer, digest: Digest, { key, sizeBytes }: BlobStat) =>
  tx
    .updateTable("blobs")
    .set({ blob_key: key, size_bytes: sizeBytes, damaged_at: null })
    .where("digest", "=", digest)
    .execute();
