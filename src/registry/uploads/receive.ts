import { fail } from "../../oci/problem.ts";
import { sizeOf } from "../../platform/blobs/piece.ts";
import type { Registry } from "../registry.ts";
import { gatherCrumbs } from "./gather-crumbs.ts";
import type { RunningHash } from "./running-hashes.ts";
import { type Hold, overtaken, type Progress, removeSession, saveProgress, type Session } from "./session.ts";

export interface Chunk {
  /** They are the registry's once they are given: it lets go of their memory. */
  readonly chunks: AsyncIterable<Uint8Array>;
  /** Bytes that the client announced; `undefined` when it streams. */
  readonly lengthBytes: number | undefined;
}

/**
 * Appends a request's body to a session, hashing while it streams. What arrived before a connection broke is kept, so
 * that the client can go on from there.
 * @throws RegistryError SIZE_INVALID, TOO_LARGE; or the body's own failure, after its bytes were saved
 */
export async function receive(
  registry: Registry,
  { session, hash }: { readonly session: Session; readonly hash: RunningHash | undefined },
  { chunks, lengthBytes }: Chunk,
): Promise<Progress> {
  const limit = registry.settings.uploads.maxBytes - session.sizeBytes;
  if (lengthBytes !== undefined && lengthBytes > limit) return refuseSize(registry, session);
  const body = readBody(chunks, { mostBytes: Math.min(limit, lengthBytes ?? limit), hash, hold: session.hold });
  if (session.hold.isOver()) throw overtaken();
  const { size, state } = await registry.blobs.append(session.upload, session.sizeBytes, body.pieces);
  const progress = { sizeBytes: size, state, digest: hash?.digest() };
  const outcome = body.outcome();
  if (outcome.kind === "broken") {
    await saveProgress(registry, session, progress);
    if (hash !== undefined) registry.hashes.keep(session.id, { sizeBytes: size, hash });
    throw outcome.error;
  }
  if (outcome.kind === "more" && lengthBytes === undefined) return refuseSize(registry, session);
  const received = size - session.sizeBytes;
  if (outcome.kind === "more" || (lengthBytes !== undefined && received !== lengthBytes)) {
    return fail({ code: "SIZE_INVALID", reason: `the body does not have the ${lengthBytes ?? 0} bytes it announced` });
  }
  return progress;
}

/** No way of going on makes the blob smaller: the session and what it holds are freed. */
async function refuseSize(registry: Registry, session: Session): Promise<never> {
  await removeSession(registry, session);
  return fail({ code: "TOO_LARGE", limitBytes: registry.settings.uploads.maxBytes });
}

type Outcome =
  | { readonly kind: "whole" }
  | { readonly kind: "more" }
  | { readonly kind: "broken"; readonly error: unknown };

interface Body {
  readonly pieces: AsyncIterable<readonly Uint8Array[]>;
  readonly outcome: () => Outcome;
}

interface ReadOptions {
  readonly mostBytes: number;
  readonly hash: RunningHash | undefined;
  readonly hold: Hold;
}

/** Ends quietly where the body breaks or grows too long, so that the store makes durable what came before. */
function readBody(source: AsyncIterable<Uint8Array>, { mostBytes, hash, hold }: ReadOptions): Body {
  let outcome: Outcome = { kind: "whole" };
  async function* read(): AsyncGenerator<readonly Uint8Array[]> {
    // Before it is asked whether the hold is over: what was asked about is written at once.
    const pieces = gatherCrumbs(source);
    let received = 0;
    for (;;) {
      let next: IteratorResult<readonly Uint8Array[]>;
      try {
        next = await pieces.next();
      } catch (error) {
        outcome = { kind: "broken", error };
        return;
      }
      if (next.done === true) return;
      if (hold.isOver()) {
        outcome = { kind: "broken", error: overtaken() };
        await pieces.return(undefined);
        return;
      }
      received += sizeOf(next.value);
      if (received > mostBytes) {
        outcome = { kind: "more" };
        await pieces.return(undefined);
        return;
      }
      for (const chunk of next.value) hash?.update(chunk);
      yield next.value;
    }
  }
  return { pieces: read(), outcome: () => outcome };
}
