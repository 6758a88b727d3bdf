import { setTimeout as sleep } from "node:timers/promises";
import type { Database } from "../../platform/database/database.ts";
import type { Log } from "../../platform/telemetry/log.ts";
import { addPulls, readPulls, type StoredCount } from "./stored-counts.ts";

export interface Asked {
  readonly limit: number;
  /** Whether it is a pull; else it is only told how things stand. */
  readonly counts: boolean;
}

export interface Taken {
  readonly isAllowed: boolean;
  readonly remaining: number;
  /** Until the window ends. */
  readonly restMs: number;
}

/** How often sources have pulled, counted together with all other processes on the database. */
export interface PullCounts {
  /** Counts a pull, unless there have been as many as may be. What need not wait is no promise. */
  take(source: string, asked: Asked): Taken | Promise<Taken>;
  /** Writes down what was counted. */
  flush(): Promise<void>;
  /** Of how many sources something is in memory. */
  size(): number;
}

interface PullCountsDeps {
  readonly database: Database;
  readonly log: Log;
  readonly windowMs: number;
  /** In milliseconds; never goes back. */
  readonly now?: () => number;
  readonly mostSources?: number;
}

/** What this process knows of one source. */
interface Known {
  /** Of all processes, as the database has it; `undefined` before it was asked. */
  stored: number | undefined;
  /** On its way there. */
  sending: number;
  /** Not on its way yet. */
  own: number;
  endsAt: number;
}

const writtenAfterMs = 5000;
/** Nobody waits longer for the database; then each process counts for itself, for as long as it is left alone. */
const waitMs = 1000;
const leftAloneMs = 5000;
const mostOfFlush = 1000;

/**
 * How much of a limit one process gives away before it asks what the others have given: so many processes more than one
 * there are, so many times this may be given above the limit, and no more.
 */
export const shareOf = (limit: number): number => Math.max(1, Math.floor(limit / 20));

export function pullCounts(deps: PullCountsDeps): PullCounts {
  const { database, log, windowMs, now = () => performance.now(), mostSources = 20_000 } = deps;
  const sources = new Map<string, Known>();
  /** Those that have something for the database, or want something of it. */
  const waiting = new Map<string, Known>();
  let timer: ReturnType<typeof setTimeout> | undefined;
  let flushing: Promise<void> | undefined;
  let aloneUntil = 0;

  const knownOf = (source: string): Known => {
    const known = sources.get(source) ?? waiting.get(source);
    if (known !== undefined && known.endsAt > now()) return known;
    const fresh: Known = { stored: undefined, sending: 0, own: 0, endsAt: now() + windowMs };
    sources.delete(source);
    sources.set(source, fresh);
    waiting.delete(source);
    const [oldest] = sources.size > mostSources ? sources.keys() : [];
    if (oldest !== undefined) sources.delete(oldest);
    return fresh;
  };
  const mustWait = ({ stored, sending, own }: Known, { limit, counts }: Asked): boolean => {
    if (stored === undefined) return now() >= aloneUntil;
    const isOver = stored + sending + own >= limit;
    return counts && !isOver && sending + own >= shareOf(limit) && now() >= aloneUntil;
  };
  const decide = (source: string, known: Known, { limit, counts }: Asked): Taken => {
    const before = (known.stored ?? 0) + known.sending + known.own;
    const isAllowed = before < limit;
    if (isAllowed && counts) {
      known.own += 1;
      waiting.set(source, known);
      timer ??= setTimeout(() => void flush(), writtenAfterMs).unref();
    }
    const spent = isAllowed && counts ? before + 1 : before;
    return { isAllowed, remaining: Math.max(0, limit - spent), restMs: Math.max(0, known.endsAt - now()) };
  };

  const write = async (): Promise<void> => {
    clearTimeout(timer);
    timer = undefined;
    const some = [...waiting].slice(0, mostOfFlush);
    for (const [source, known] of some) {
      waiting.delete(source);
      known.sending = known.own;
      known.own = 0;
    }
    try {
      const told = await settle(database, some, windowMs);
      for (const [source, known] of some) learn(known, told.get(source), now() + windowMs);
    } catch (error) {
      for (const [source, known] of some) {
        known.own += known.sending;
        known.sending = 0;
        waiting.set(source, known);
      }
      if (now() >= aloneUntil) log.error("pull counts not written", error);
      aloneUntil = now() + leftAloneMs;
    }
    function learn(known: Known, stored: StoredCount | undefined, otherwise: number): void {
      known.stored = stored?.pulls ?? 0;
      known.sending = 0;
      known.endsAt = stored === undefined ? otherwise : now() + stored.restMs;
    }
    if (waiting.size > 0) timer ??= setTimeout(() => void flush(), writtenAfterMs).unref();
  };
  const flush = (): Promise<void> => (flushing ??= write().finally(() => (flushing = undefined)));

  const takeSettled = async (source: string, asked: Asked): Promise<Taken> => {
    for (;;) {
      const known = knownOf(source);
      if (!mustWait(known, asked)) return decide(source, known, asked);
      waiting.set(source, known);
      const isLate = await Promise.race([flush(), sleep(waitMs, true, { ref: false })]);
      if (isLate === true) aloneUntil = now() + leftAloneMs;
    }
  };
  return {
    take(source, asked) {
      const known = knownOf(source);
      return mustWait(known, asked) ? takeSettled(source, asked) : decide(source, known, asked);
    },
    async flush() {
      while (waiting.size > 0 && now() >= aloneUntil) await flush();
    },
    size: () => sources.size,
  };
}

/** Adds what was counted, and reads where nothing was. */
async function settle(
  database: Database,
  some: readonly (readonly [source: string, known: Known])[],
  windowMs: number,
): Promise<ReadonlyMap<string, StoredCount>> {
  const added = some.flatMap(([source, { sending }]) => (sending > 0 ? [{ source, pulls: sending }] : []));
  const asked = some.flatMap(([source, { sending }]) => (sending > 0 ? [] : [source]));
  const [told, read] = await Promise.all([
    addPulls(database, added, windowMs),
    readPulls(database, asked, windowMs),
  ]);
  return new Map([...told, ...read]);
}
