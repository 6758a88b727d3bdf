import { ClientGoneError, SlowBodyError } from "./http.ts";
import { lookout } from "./lookout.ts";
import { type Pace, paceOf, type Patience } from "./patience.ts";

/** A request's body on its way. */
export interface WatchedBody {
  /** @throws ClientGoneError, SlowBodyError */
  readonly chunks: AsyncIterable<Uint8Array>;
  /** Whether all of it has been read; what has not may still be coming. */
  isWhole(): boolean;
  /** How much of it has been read. */
  readonly bytes: () => number;
  /** Takes what is left of it, for as long at most. */
  drop(limitMs: number): Promise<void>;
}

interface Running {
  readonly pace: Pace;
  /** Ends the read that waits. */
  readonly giveUp: () => void;
}

const mostMs = 5000;

/** Ends bodies that come too slowly. One clock for all of them: a timer for each chunk would cost more than the chunk. */
export function watchBodies(patience: Patience): (stream: ReadableStream<Uint8Array>) => WatchedBody {
  const running = new Set<Running>();
  const start = lookout(Math.min(mostMs, (patience.stallSeconds * 1000) / 8), () => {
    const now = performance.now();
    for (const body of running) if (body.pace.isOver(now)) body.giveUp();
    return running.size > 0;
  });
  return (stream) => {
    let isWhole = false;
    let bytes = 0;
    async function* chunks(): AsyncGenerator<Uint8Array> {
      const reader = stream.getReader();
      const pace = paceOf(patience);
      let isOver = false;
      const giveUp = (): void => {
        isOver = true;
        void reader.cancel().catch(() => undefined);
      };
      const one = { pace, giveUp };
      running.add(one);
      start();
      try {
        for (;;) {
          pace.wait(performance.now());
          const next = await reader.read();
          if (isOver) throw new SlowBodyError("the client sent its body too slowly");
          if (next.done) {
            isWhole = true;
            return;
          }
          bytes += next.value.byteLength;
          pace.came(next.value.byteLength, performance.now());
          yield next.value;
        }
      } catch (error) {
        if (error instanceof SlowBodyError) throw error;
        throw new ClientGoneError("the client went away before its body had ended", { cause: error });
      } finally {
        running.delete(one);
        if (!isWhole) await reader.cancel().catch(() => undefined);
      }
    }
    const body = chunks();
    return { chunks: body, isWhole: () => isWhole, bytes: () => bytes, drop: (limitMs) => drop(body, limitMs) };
  };
}

async function drop(chunks: AsyncGenerator<Uint8Array>, limitMs: number): Promise<void> {
  const { promise: isLate, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, limitMs);
  const all = async (): Promise<void> => {
    while (!(await chunks.next()).done);
  };
  // Whoever does not send it is told in the answer what was wrong, or is gone.
  await Promise.race([all().catch(() => undefined), isLate]);
  clearTimeout(timer);
}
