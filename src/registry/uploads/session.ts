import { type Selectable, sql } from "kysely";
import { type DigestAlgorithm, parseDigestAlgorithm } from "../../oci/digest.ts";
import type { RepositoryName } from "../../oci/names.ts";
import { fail, RegistryError, type UploadPosition } from "../../oci/problem.ts";
import { type BlobStore, type Upload, UploadLostError, type UploadState } from "../../platform/blobs/blob-store.ts";
import { clock } from "../../platform/database/clock.ts";
import type { Dialect, Reader, Tables, WriteOptions, Writer } from "../../platform/database/database.ts";
import { alone, type Given, prepared } from "../../platform/database/prepared.ts";
import { doomUploads } from "./doom-uploads.ts";
import { asDigest } from "../manifests.ts";
import { storedKey } from "../blobs.ts";
import { type Registry, writeChange } from "../registry.ts";
import type { Digest } from "../../oci/digest.ts";

/** Which session, and who says so: the wrong repository or principal is answered as if there were none. */
export interface UploadTarget {
  readonly repository: RepositoryName;
  readonly principal: string;
  readonly id: string;
}

/**
 * A session's own rows survive the end of the process and not a loss of power: then it stands at an earlier offset, or
 * is not there any more, and the client is told so. Its bytes are durable before its row says so, in any case.
 */
export const sessionWrite: WriteOptions = { survives: "process" };

/** A session that this request alone may write, for a while. */
export interface Session extends UploadTarget {
  readonly holder: string;
  readonly upload: Upload;
  readonly sizeBytes: number;
  readonly algorithm: DigestAlgorithm;
  /** Of the bytes so far; `undefined` when no one process has seen them all. */
  readonly digest: Digest | undefined;
  readonly hold: Hold;
}

/** A claim as the request that has it sees it. */
export interface Hold {
  /** The database has confirmed the claim; it was asked at this time (`performance.now`). */
  extend(askedAt: number): void;
  end(): void;
  /** Whether another may have the session by now: then not one more byte may be written to it. */
  isOver(): boolean;
}

/** Another writer may be at the same bytes by now. */
export const overtaken = (): Error =>
  new RegistryError([
    {
      code: "UNAVAILABLE",
      reason: "this request lost its hold on the upload; ask where it stands",
      retryAfterSeconds: 1,
    },
  ]);

/** Ends a little earlier here than in the database, where it begins later. */
function startHold({ settings }: Registry, askedAt: number): Hold {
  const surelyMs = settings.uploads.holdMs * 0.8;
  let until = askedAt + surelyMs;
  return {
    extend: (at) => (until = Math.max(until, at + surelyMs)),
    end: () => (until = 0),
    isOver: () => performance.now() >= until,
  };
}

/** Until when the database believes in a claim that is made or confirmed now. */
const heldUntil = ({ database, settings }: Registry) =>
  sql<number>`${clock(database.dialect)} + ${sql.lit(settings.uploads.holdMs)}`;

/**
 * When a session was touched, which is never the same twice: whoever finds the time that was there before knows that
 * nobody has claimed it meanwhile.
 */
const touched = (dialect: Dialect) =>
  sql<number>`${sql.raw(dialect === "sqlite" ? "max" : "greatest")}(${clock(dialect)}, active_at + 1)`;

interface Claimed {
  readonly row: Selectable<Tables["uploads"]>;
  readonly target: UploadTarget;
  /** When the database was asked for the claim (`performance.now`). */
  readonly askedAt: number;
}

export function toSession(registry: Registry, { row, target, askedAt }: Claimed): Session {
  const algorithm = parseDigestAlgorithm(row.algorithm);
  if (algorithm === undefined || row.holder === null) throw new Error(`upload ${row.id} is not a claimed session`);
  return {
    ...target,
    holder: row.holder,
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- as the blob store gave it
    upload: { key: storedKey(row.blob_key), state: row.state as UploadState },
    sizeBytes: row.size_bytes,
    algorithm,
    digest: row.digest === null ? undefined : asDigest(row.digest),
    hold: startHold(registry, askedAt),
  };
}

/**
 * Runs `work` as the session's one writer. `work` ends the claim itself when it saves what it did; a failure leaves
 * the session as the database has it.
 * @param start the offset the client means to go on from; any, when it does not say
 * @throws RegistryError BLOB_UPLOAD_UNKNOWN, BLOB_UPLOAD_OUT_OF_ORDER
 */
export async function withSession<T>(
  registry: Registry,
  { target, start }: { readonly target: UploadTarget; readonly start: number | undefined },
  work: (session: Session) => Promise<T>,
): Promise<T> {
  const session = await claim(registry, target, start);
  return holdSession(registry, session, () => work(session));
}

/** Keeps a claim alive while `work` runs, and gives it back when that fails. */
export async function holdSession<T>(registry: Registry, session: Session, work: () => Promise<T>): Promise<T> {
  const heartbeat = setInterval(() => void beat(registry, session), registry.settings.uploads.holdMs / 3);
  try {
    return await work();
  } catch (error) {
    if (error instanceof UploadLostError) {
      await removeSession(registry, session);
      // The disk lost them just now: then that is what there is to tell.
      if (error.cause !== undefined) throw error;
      return fail({ code: "BLOB_UPLOAD_UNKNOWN" });
    }
    await releasing(registry, session, () => giveBack(registry, session));
    // Somebody may have cancelled it meanwhile, and `work` have written after that.
    await dropAbandonedBytes(registry, session);
    throw error;
  } finally {
    clearInterval(heartbeat);
  }
}

const mine = ({ id, holder }: Session) => ({ id, holder });

/** One request of this process. */
export const newHolder = ({ process }: Registry): string => `${process}/${crypto.randomUUID()}`;

async function claim(registry: Registry, target: UploadTarget, start: number | undefined): Promise<Session> {
  const { database } = registry;
  const holder = newHolder(registry);
  const askedAt = performance.now();
  const { id, repository, principal } = target;
  const given = { id, repository, principal, holder, heldMs: registry.settings.uploads.holdMs };
  const write = alone(database, sessionWrite);
  const [row] = await releasing(registry, { id, holder }, () =>
    start === undefined ? claimAnywhere(write, given) : claimAt(write, { ...given, start }),
  );
  if (row !== undefined) return toSession(registry, { row, target, askedAt });
  const position = await findUpload(registry, target);
  const reason =
    start === undefined || start === position.size
      ? "another request is writing to this upload"
      : `the upload stands at ${position.size}, not at ${start}`;
  return fail({ code: "BLOB_UPLOAD_OUT_OF_ORDER", position, reason });
}

interface Claim {
  readonly id: string;
  readonly repository: string;
  readonly principal: string;
  readonly holder: string;
  readonly heldMs: number;
}

const claimRow = (write: Reader, given: Claim, dialect: Dialect) =>
  write
    .updateTable("uploads")
    .set({
      holder: given.holder,
      held_until: sql<number>`${clock(dialect)} + ${given.heldMs}`,
      active_at: touched(dialect),
    })
    .where("id", "=", given.id)
    .where("repository", "=", given.repository)
    .where("principal", "=", given.principal)
    .where((expression) =>
      expression.or([expression("holder", "is", null), expression("held_until", "<", clock(dialect))]),
    )
    .returningAll();

const claimAnywhere = prepared((write, given: Claim & Given, dialect) => claimRow(write, given, dialect));
const claimAt = prepared((write, given: Claim & Given & { readonly start: number }, dialect) =>
  claimRow(write, given, dialect).where("size_bytes", "=", given.start),
);

const releaseRestMs = 250;

/**
 * A write to a session that fails may have been done or not, and the claim with it: it is given back as soon as the
 * database answers, so that the client does not find its own request in the way.
 */
async function releasing<T>(
  registry: Registry,
  claimed: Pick<Session, "id" | "holder">,
  write: () => Promise<T>,
): Promise<T> {
  try {
    return await write();
  } catch (error) {
    if (!(error instanceof RegistryError)) void releaseSoon(registry, claimed);
    throw error;
  }
}

/** Until the claim would end by itself. */
async function releaseSoon({ database, settings }: Registry, { id, holder }: Pick<Session, "id" | "holder">) {
  const until = performance.now() + settings.uploads.holdMs;
  const release = (tx: Writer) =>
    tx
      .updateTable("uploads")
      .set({ holder: null, held_until: 0 })
      .where((expression) => expression.and({ id, holder }))
      .execute();
  while (performance.now() < until) {
    await new Promise((resolve) => setTimeout(resolve, releaseRestMs).unref());
    const [outcome] = await Promise.allSettled([database.write(release, sessionWrite)]);
    if (outcome.status === "fulfilled") return;
  }
}

/** A database that does not answer changes nothing here: without an answer the hold ends by itself. */
async function beat(registry: Registry, session: Session): Promise<void> {
  const { database } = registry;
  const askedAt = performance.now();
  const confirm = (tx: Writer) =>
    tx
      .updateTable("uploads")
      .set({ held_until: heldUntil(registry), active_at: touched(database.dialect) })
      .where((expression) => expression.and(mine(session)))
      .returning("id")
      .execute();
  const [answer] = await Promise.allSettled([database.write(confirm, sessionWrite)]);
  if (answer.status === "rejected") return;
  if (answer.value.length > 0) session.hold.extend(askedAt);
  else session.hold.end();
}

export interface Progress {
  readonly sizeBytes: number;
  readonly state: UploadState;
  readonly digest: Digest | undefined;
}

/** Ends the claim. One that has passed to another writer changes nothing. */
async function giveBack({ database }: Registry, session: Session): Promise<void> {
  await release(alone(database, sessionWrite), mine(session));
}

/**
 * Moves the session on, and ends the claim.
 * @returns when it was touched
 * @throws RegistryError BLOB_UPLOAD_UNKNOWN where the claim has passed to another writer
 */
export async function saveProgress(
  { database }: Registry,
  session: Session,
  { sizeBytes, state, digest }: Progress,
): Promise<number> {
  const given = { ...mine(session), sizeBytes, state, digest: digest ?? null };
  const [moved] = await releaseAt(alone(database, sessionWrite), given);
  return moved?.active_at ?? fail({ code: "BLOB_UPLOAD_UNKNOWN" });
}

interface Mine {
  readonly id: string;
  readonly holder: string;
}

const releaseRow = (write: Reader, { id, holder }: Mine, dialect: Dialect) =>
  write
    .updateTable("uploads")
    .set({ holder: null, held_until: 0, active_at: touched(dialect) })
    .where("id", "=", id)
    .where("holder", "=", holder)
    .returning("active_at");

const release = prepared((write, given: Mine & Given, dialect) => releaseRow(write, given, dialect));

interface Moved extends Mine {
  readonly sizeBytes: number;
  readonly state: string;
  readonly digest: string | null;
}

const releaseAt = prepared((write, given: Moved & Given, dialect) =>
  releaseRow(write, given, dialect).set({
    size_bytes: given.sizeBytes,
    state: given.state,
    digest: given.digest,
  }),
);

/** Removes the session and its bytes, unless another writer has it by now. */
export async function removeSession(registry: Registry, session: Session): Promise<void> {
  await writeChange(registry, async (tx) => {
    const ended = await tx
      .deleteFrom("uploads")
      .where("id", "=", session.id)
      .where(({ eb, or }) => or([eb("holder", "is", null), eb("holder", "=", session.holder)]))
      .returning(["blob_key", "state"])
      .execute();
    // Its one writer is who ends it.
    await doomUploads(
      registry,
      tx,
      ended.map((row) => ({ ...row, holder: null })),
    );
  });
  await dropAbandonedBytes(registry, session);
}

/** Removes the bytes, finished or not, of a session that is over and became no blob: nobody else knows their key. */
async function dropAbandonedBytes({ database, blobs }: Registry, { id, upload }: Session): Promise<void> {
  const open = await database.read.selectFrom("uploads").select("id").where("id", "=", id).executeTakeFirst();
  if (open !== undefined) return;
  // Asked after the session: what ended it by making a blob of it can be seen by now.
  const blob = await database.read
    .selectFrom("blobs")
    .select("digest")
    .where("blob_key", "=", upload.key)
    .executeTakeFirst();
  if (blob === undefined) await dropUpload(blobs, upload);
}

/** Removes an upload's bytes, finished or not. A blob of that key must not exist. */
export async function dropUpload(blobs: BlobStore, upload: Upload): Promise<void> {
  await blobs.cancel(upload);
  await blobs.delete([upload.key]);
}

/** @throws RegistryError BLOB_UPLOAD_UNKNOWN */
export async function findUpload({ database, blobs }: Registry, target: UploadTarget): Promise<UploadPosition> {
  const row = await database.read
    .selectFrom("uploads")
    .select(["size_bytes", "blob_key", "state"])
    .where("id", "=", target.id)
    .where("repository", "=", target.repository)
    .where("principal", "=", target.principal)
    .executeTakeFirst();
  if (row === undefined) return fail({ code: "BLOB_UPLOAD_UNKNOWN" });
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- as the blob store gave it
  const upload = { key: storedKey(row.blob_key), state: row.state as UploadState };
  // A loss of power may leave the row and take the file's name; nobody can go on at an offset beyond the bytes.
  if (row.size_bytes > 0 && !(await blobs.holds(upload, row.size_bytes))) fail({ code: "BLOB_UPLOAD_UNKNOWN" });
  return { repository: target.repository, id: target.id, size: row.size_bytes };
}
