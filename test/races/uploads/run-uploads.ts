import { createHash } from "node:crypto";
import { type Digest, parseDigest } from "../../../src/oci/digest.ts";
import { RegistryError } from "../../../src/oci/problem.ts";
import { chunksOf } from "../../../src/platform/blobs/blob-body.ts";
import type { BlobStore } from "../../../src/platform/blobs/blob-store.ts";
import { collect } from "../../../src/registry/collect.ts";
import { findBlob } from "../../../src/registry/blobs.ts";
import type { Registry } from "../../../src/registry/registry.ts";
import { appendUpload } from "../../../src/registry/uploads/append-upload.ts";
import { cancelUpload } from "../../../src/registry/uploads/cancel-upload.ts";
import { finishUpload } from "../../../src/registry/uploads/finish-upload.ts";
import { findUpload, type UploadTarget } from "../../../src/registry/uploads/session.ts";
import { startUpload } from "../../../src/registry/uploads/start-upload.ts";
import { seeded } from "../../hostile/fuzz/random.ts";
import { repositoryName } from "../../support/registry.ts";
import { pausedBodies, scheduledRegistry } from "../program/scheduled-registry.ts";
import { createScheduler } from "../program/scheduler.ts";
import type { Stage } from "../program/run-program.ts";
import type { PositionedStore } from "./positioned-store.ts";
import { acknowledge, judgeBytes, type Ledger, newLedger } from "./upload-ledger.ts";
import { generateUploads, type UploadStep } from "./upload-program.ts";

const repository = repositoryName("races/uploads");

export interface UploadStage extends Pick<Stage, "countBlocked"> {
  readonly registry: Registry;
  readonly store: PositionedStore;
  readonly clock: VirtualClock;
}

interface Session extends Omit<UploadStage, "countBlocked"> {
  /** Without turns. */
  readonly direct: Registry;
  readonly target: UploadTarget;
  readonly ledger: Ledger;
}

/** `performance.now`, by which a request knows how long it has its hold: moved on by a step, not by the machine. */
export interface VirtualClock {
  advance(ms: number): void;
  [Symbol.dispose](): void;
}

export function virtualClock(): VirtualClock {
  const real = performance.now;
  let now = real.call(performance);
  performance.now = () => now;
  return {
    advance: (ms) => void (now += ms),
    [Symbol.dispose]: () => void (performance.now = real),
  };
}

/** Several clients on one session, in the order of the seed; then what is left is judged. */
export async function runUploads(stage: UploadStage, seed: number): Promise<string | undefined> {
  const { registry } = stage;
  const random = seeded(seed);
  const program = generateUploads(random);
  const scheduler = createScheduler(random, stage.countBlocked);
  const id = await startUpload(registry, { repository, principal: "tester", algorithm: "sha256" });
  const session: Session = {
    ...stage,
    direct: registry,
    target: { repository, principal: "tester", id },
    ledger: newLedger(),
  };
  const log: string[] = [];
  await scheduler.run(
    program.map((steps) => async (client) => {
      const turn = (): Promise<void> => scheduler.turn(client);
      // Between a look at the hold and the write that it is for nobody comes in: it would have to take seconds.
      const blobs = {
        ...pausedBodies(registry.blobs, turn),
        finishAsIs: (...given: Parameters<BlobStore["finishAsIs"]>) =>
          turn().then(() => registry.blobs.finishAsIs(...given)),
      };
      const own = { ...session, registry: { ...scheduledRegistry(registry, { turn }), blobs } };
      for (const step of steps) {
        await scheduler.turn(client);
        log.push(`client ${client}  ${describe(step)}  -> ${await take(own, step)}`);
      }
    }),
  );
  await judgeEnd(session);
  const [problem] = session.ledger.problems;
  return problem && `seed ${seed}: ${problem}\n${log.join("\n")}`;
}

const describe = (step: UploadStep): string =>
  "pieces" in step
    ? `${step.kind} ${"start" in step ? `${step.start} ${step.ending}` : step.digest} ` +
      step.pieces.map((piece) => piece.toString("hex")).join(" ")
    : step.kind;

/** What a registry may answer here; anything else is a fault. */
const expected: ReadonlySet<string> = new Set(
  "BLOB_UPLOAD_UNKNOWN BLOB_UPLOAD_OUT_OF_ORDER DIGEST_INVALID SIZE_INVALID UNAVAILABLE hung-up".split(" "),
);

class HungUp extends Error {}

async function take(session: Session, step: UploadStep): Promise<string> {
  const { ledger } = session;
  const wasOver = ledger.isOver;
  try {
    const outcome = await act(session, step);
    const isAboutSession = !["lose", "idle", "collect"].includes(step.kind);
    if (wasOver && isAboutSession) ledger.problems.push(`${step.kind} of a session that was over: ${outcome}`);
    return outcome;
  } catch (error) {
    const code =
      error instanceof HungUp ? "hung-up" : error instanceof RegistryError ? error.problems[0].code : String(error);
    if (!expected.has(code)) ledger.problems.push(`${step.kind} failed: ${code}`);
    return code;
  }
}

async function act(session: Session, step: UploadStep): Promise<string> {
  const { registry, target, ledger } = session;
  switch (step.kind) {
    case "patch":
      return patch(session, step);
    case "finish":
      return finish(session, step);
    case "ask": {
      const known = ledger.told.length;
      const { size } = await findUpload(registry, target);
      if (size < known)
        ledger.problems.push(`the session stands at ${size}, and ${known} bytes were acknowledged before`);
      return `at ${size}`;
    }
    case "cancel":
      await cancelUpload(registry, target);
      ledger.isOver = true;
      return "cancelled";
    case "lose":
      await loseHold(session);
      return "hold lost";
    case "idle":
      ledger.mayBeGone = true;
      await registry.database.write((tx) =>
        tx.updateTable("uploads").set({ started_at: 1, active_at: 1 }).where("id", "=", target.id).execute(),
      );
      return "idle";
    case "collect":
      await collect(registry);
      return "collected";
  }
  return step satisfies never;
}

/**
 * Whoever writes now has given no sign of life for too long: its own clock tells it so first, and then the database
 * believes in it no longer. In one go, as a claim that comes in between would be a good one.
 */
async function loseHold({ direct, target, clock }: Session): Promise<void> {
  const { database, settings } = direct;
  const row = await database.read.selectFrom("uploads").select("holder").where("id", "=", target.id).executeTakeFirst();
  clock.advance(settings.uploads.holdMs);
  if (row === undefined || row.holder === null) return;
  const lost = { id: target.id, holder: row.holder };
  await database.write((tx) =>
    tx
      .updateTable("uploads")
      .set({ held_until: 1 })
      .where((expression) => expression.and(lost))
      .execute(),
  );
}

type Patch = Extract<UploadStep, { readonly kind: "patch" }>;

async function patch({ registry, target, ledger }: Session, { pieces, start, ending }: Patch): Promise<string> {
  const body = Buffer.concat(pieces);
  const from = start === "untold" ? undefined : ledger.told.length - (start === "behind" ? 1 : 0);
  async function* chunks(): AsyncGenerator<Uint8Array> {
    // Whoever is given a chunk may let go of it.
    for (const piece of pieces) yield Uint8Array.from(piece);
    if (ending === "broken") throw new HungUp("the client hung up");
  }
  const lengthBytes = ending === "short" ? body.length + 1 : body.length;
  const asked = ledger.told.length;
  ledger.sent.push({ bytes: body, start: from });
  const { size } = await appendUpload(registry, target, { chunks: chunks(), lengthBytes, start: from });
  if (from !== undefined && size !== from + body.length) {
    ledger.problems.push(`from ${from}, ${body.length} bytes led to ${size}`);
  }
  if (size - body.length < asked) ledger.problems.push(`at ${size - body.length}, and ${asked} were acknowledged`);
  acknowledge(ledger, size, body);
  return `at ${size}`;
}

type Finish = Extract<UploadStep, { readonly kind: "finish" }>;

async function finish(session: Session, { pieces, digest }: Finish): Promise<string> {
  const { registry, target, ledger } = session;
  const before = await stored(session);
  const bytes = Buffer.concat([before, ...pieces]);
  const wanted = digest === "right" ? sha256(bytes) : sha256("something else");
  async function* chunks(): AsyncGenerator<Uint8Array> {
    // Whoever is given a chunk may let go of it.
    for (const piece of pieces) yield Uint8Array.from(piece);
  }
  const lengthBytes = bytes.length - before.length;
  ledger.sent.push({ bytes: Buffer.concat(pieces), start: before.length });
  try {
    await finishUpload(registry, target, { digest: wanted, chunks: chunks(), lengthBytes, start: before.length });
  } catch (error) {
    if (error instanceof RegistryError && error.problems[0].code === "DIGEST_INVALID") {
      ledger.isOver = true;
      if (digest === "right") ledger.problems.push("the right digest was refused at the offset that it belongs to");
    }
    throw error;
  }
  if (digest === "wrong") ledger.problems.push("bytes were taken for others");
  ledger.isOver = true;
  acknowledge(ledger, bytes.length, Buffer.concat(pieces));
  await judgeBlob(session, wanted, bytes);
  return `finished ${bytes.length} bytes`;
}

const sha256 = (bytes: Buffer | string): Digest => {
  const digest = parseDigest(`sha256:${createHash("sha256").update(bytes).digest("hex")}`);
  if (digest === undefined) throw new Error("not a digest");
  return digest;
};

/** What the session has: up to where its row says that it stands. Nothing where it is over. */
async function stored(session: Session): Promise<Buffer> {
  const { store, ledger } = session;
  const row = await findRow(session);
  const bytes = row && store.peek(row.blob_key);
  if (row === undefined || bytes === undefined) return Buffer.alloc(0);
  if (bytes.length < row.size_bytes)
    ledger.problems.push(`the row says ${row.size_bytes}, and ${bytes.length} are there`);
  return bytes.subarray(0, row.size_bytes);
}

const findRow = ({ registry, target }: Session) =>
  registry.database.read
    .selectFrom("uploads")
    .select(["blob_key", "size_bytes"])
    .where("id", "=", target.id)
    .executeTakeFirst();

/** The session has what was acknowledged, and can be finished, unless somebody was told that it is over. */
async function judgeEnd(session: Session): Promise<void> {
  const { ledger } = session;
  const row = await findRow(session);
  if (row === undefined) {
    if (!ledger.isOver && !ledger.mayBeGone) ledger.problems.push("the session is gone, and nobody ended it");
    return;
  }
  if (ledger.isOver) {
    ledger.problems.push("the session is there, and somebody was told that it is over");
    return;
  }
  const problem = judgeBytes(ledger, await stored(session));
  if (problem !== undefined) ledger.problems.push(problem);
  const outcome = await take(session, { kind: "finish", pieces: [], digest: "right" });
  if (!outcome.startsWith("finished")) ledger.problems.push(`the session cannot be finished: ${outcome}`);
}

async function judgeBlob({ registry, ledger }: Session, digest: Digest, bytes: Buffer): Promise<void> {
  const { key } = await findBlob(registry, repository, digest);
  const body = await registry.blobs.open(key);
  const found = body === undefined ? Buffer.alloc(0) : Buffer.concat(await Array.fromAsync(chunksOf(body)));
  if (!found.equals(bytes)) ledger.problems.push("the finished bytes are others than its digest's");
  const problem = judgeBytes(ledger, found);
  if (problem !== undefined) ledger.problems.push(problem);
}
