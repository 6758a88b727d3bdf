/** How slow a client may be before its connection is taken from it. */
export interface Patience {
  /** For a connection without a request, and for all of a request's headers together. */
  readonly idleSeconds: number;
  /** For a body that does not come, and one that is not taken. */
  readonly stallSeconds: number;
  /** What comes in more slowly, for longer than `stallSeconds` make good, has stalled. */
  readonly minBytesPerSecond: number;
}

/** How a body keeps up with what is asked of its sender. */
export interface Pace {
  /** From now on it is the sender's turn. */
  wait(nowMs: number): void;
  /** These bytes have come. */
  came(bytes: number, nowMs: number): void;
  /** Whether the sender has had all the time that it gets. */
  isOver(nowMs: number): boolean;
}

/**
 * A sender has `stallSeconds` of time, which waiting for it uses up and every byte gives back, at the rate that is asked
 * for. So a pause is as good as a slow stretch, and the time that the server itself takes is nobody's fault.
 */
export function paceOf({ stallSeconds, minBytesPerSecond }: Patience): Pace {
  const mostMs = stallSeconds * 1000;
  let leftMs = mostMs;
  let waitingSince: number | undefined;
  const left = (nowMs: number): number => (waitingSince === undefined ? leftMs : leftMs - (nowMs - waitingSince));
  return {
    wait(nowMs) {
      waitingSince = nowMs;
    },
    came(bytes, nowMs) {
      leftMs = Math.min(mostMs, left(nowMs) + (bytes / minBytesPerSecond) * 1000);
      waitingSince = undefined;
    },
    isOver: (nowMs) => left(nowMs) <= 0,
  };
}
