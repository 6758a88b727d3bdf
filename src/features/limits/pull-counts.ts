import { setTimeout as sleep } from "node:timers/promises";
import type { Database } from "../../platform/database/database.ts";
import type { Log } from "../../platform/telemetry/log.ts";
import { type KnownSource, knownSources, type KnownSources, type Queued, spentOf } from "./known-sources.ts";
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

const writtenAfterMs = 5000;
/** Nobody waits longer for the database; then each process counts for itself, for as long as it is left alone. */
const waitMs = 1000;
const leftAloneMs = 5000;

/**
 * How much of a limit one process gives away before it asks what the others have given: so many processes more than one
 * there are, so many times this may be given above the limit, and no more.
 */
export const shareOf = (limit: number): number => Math.max(1, Math.floor(limit / 20));

export function pullCounts(deps: PullCountsDeps): PullCounts {
  const { windowMs, now = () => performance.now(), mostSources = 20_000 } = deps;
  const sources = knownSources({ windowMs, now, most: mostSources });
  const writer = countWriter({ ...deps, sources, now });

  const mustWait = (known: KnownSource, { limit, counts }: Asked): boolean => {
    if (writer.isLeftAlone()) return false;
    if (known.stored === undefined) return true;
    return counts && spentOf(known) < limit && known.sending + known.own >= shareOf(limit);
  };
  const decide = (source: string, known: KnownSource, { limit, counts }: Asked): Taken => {
    const isAllowed = spentOf(known) < limit;
    if (isAllowed && counts) {
      known.own += 1;
      sources.queue(source, known);
      writer.schedule();
    }
    return {
      isAllowed,
      remaining: Math.max(0, limit - spentOf(known)),
      restMs: Math.max(0, known.endsAt - now()),
    };
  };
  const takeSettled = async (source: string, asked: Asked): Promise<Taken> => {
    for (;;) {
      const known = sources.of(source);
      if (!mustWait(known, asked)) return decide(source, known, asked);
      sources.queue(source, known);
      await writer.soon();
    }
  };
  return {
    take(source, asked) {
      const known = sources.of(source);
      return mustWait(known, asked) ? takeSettled(source, asked) : decide(source, known, asked);
    },
    flush: writer.flush,
    size: sources.size,
  };
}

interface CountWriter {
  /** Writes in a few seconds. */
  schedule(): void;
  /** Resolves when something was written, or nobody is to wait for it any longer. */
  soon(): Promise<void>;
  /** Whether the database has failed a moment ago. */
  isLeftAlone(): boolean;
  flush(): Promise<void>;
}

type WriterDeps = PullCountsDeps & { readonly sources: KnownSources; readonly now: () => number };

/** Adds what was counted to the database, and learns what the others have counted; one at a time. */
function countWriter({ database, log, windowMs, sources, now }: WriterDeps): CountWriter {
  let timer: ReturnType<typeof setTimeout> | undefined;
  let writing: Promise<void> | undefined;
  let aloneUntil = -Infinity;
  const isLeftAlone = (): boolean => now() < aloneUntil;
  const schedule = (): void => {
    timer ??= setTimeout(() => void begin(), writtenAfterMs).unref();
  };
  const write = async (): Promise<void> => {
    clearTimeout(timer);
    timer = undefined;
    const some = sources.takeQueued();
    for (const [, known] of some) {
      known.sending = known.own;
      known.own = 0;
    }
    try {
      const told = await settle(database, some, windowMs);
      for (const [source, known] of some) learn(known, told.get(source) ?? { pulls: 0, restMs: windowMs });
    } catch (error) {
      for (const [source, known] of some) {
        known.own += known.sending;
        known.sending = 0;
        sources.queue(source, known);
      }
      if (!isLeftAlone()) log.error("pull counts not written", error);
      aloneUntil = now() + leftAloneMs;
    }
    if (sources.hasQueued()) schedule();
  };
  const learn = (known: KnownSource, { pulls, restMs }: StoredCount): void => {
    known.stored = pulls;
    known.sending = 0;
    known.endsAt = now() + restMs;
  };
  const begin = (): Promise<void> => (writing ??= write().finally(() => (writing = undefined)));
  return {
    schedule,
    isLeftAlone,
    async soon() {
      const isLate = await Promise.race([begin(), sleep(waitMs, true, { ref: false })]);
      if (isLate === true) aloneUntil = now() + leftAloneMs;
    },
    async flush() {
      while (sources.hasQueued() && !isLeftAlone()) await begin();
    },
  };
}

/** Adds what was counted, and reads where nothing was: first, so that nothing is added twice where one of them fails. */
async function settle(
  database: Database,
  some: readonly Queued[],
  windowMs: number,
): Promise<ReadonlyMap<string, StoredCount>> {
  const added = some.flatMap(([source, { sending }]) => (sending > 0 ? [{ source, pulls: sending }] : []));
  const asked = some.flatMap(([source, { sending }]) => (sending > 0 ? [] : [source]));
  const read = await readPulls(database, asked, windowMs);
  return new Map([...read, ...(await addPulls(database, added, windowMs))]);
}
