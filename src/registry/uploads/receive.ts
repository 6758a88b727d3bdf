import { fail } from "../../oci/problem.ts";
import type { Registry } from "../registry.ts";
import { joinCrumbs } from "./join-crumbs.ts";
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
  const { size, state } = await registry.blobs.append(session.upload, session.sizeBytes, body.chunks);
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
  readonly chunks: AsyncIterable<Uint8Array>;
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
  async function* read(): AsyncGenerator<Uint8Array> {
    // Before it is asked whether the hold is over: what was asked about is written at once.
    const chunks = joinCrumbs(source);
    let received = 0;
    for (;;) {
      let next: IteratorResult<Uint8Array>;
      try {
        next = await chunks.next();
      } catch (error) {
        outcome = { kind: "broken", error };
        return;
      }
      if (next.done === true) return;
      if (hold.isOver()) {
        outcome = { kind: "broken", error: overtaken() };
        await chunks.return(undefined);
        return;
      }
      received += next.value.byteLength;
      if (received > mostBytes) {
        outcome = { kind: "more" };
        await chunks.return(undefined);
        return;
      }
      hash?.update(next.value);
      yield next.value;
    }
  }
  return { chunks: read(), outcome: () => outcome };
}
