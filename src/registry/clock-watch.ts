import { uptime } from "node:os";

/** Notices when the database's clock is set: leases and ages are differences of its times. */
export interface ClockWatch {
  /** Compares the database's clock with one that nobody sets. */
  look(nowMs: number): void;
  /** Whether `waitMs` have really passed since the clock was last set forward: what lasts as long has really ended. */
  hasRested(waitMs: number): boolean;
}

/** Clocks that are disciplined drift by less; whoever sets one by hand, sets it by more. */
const driftMs = 60_000;

interface ClockWatchOptions {
  /** A clock that nobody sets, and that goes on while the machine sleeps. */
  readonly steadyMs?: () => number;
  /** Told by how much the clock was set (ms, negative: back). */
  readonly onSet?: (ms: number) => void;
}

export function clockWatch({ steadyMs = () => uptime() * 1000, onSet }: ClockWatchOptions = {}): ClockWatch {
  let last: { readonly now: number; readonly steady: number } | undefined;
  let setForwardAt: number | undefined;
  return {
    look(now) {
      const steady = steadyMs();
      const setBy = last === undefined ? 0 : now - last.now - (steady - last.steady);
      last = { now, steady };
      if (setBy > driftMs) setForwardAt = steady;
      if (Math.abs(setBy) > driftMs) onSet?.(setBy);
    },
    hasRested: (waitMs) => setForwardAt === undefined || steadyMs() - setForwardAt > waitMs,
  };
}
