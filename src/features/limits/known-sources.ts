/** What this process knows of one source. */
export interface KnownSource {
  /** Pulls of all processes, as the database has it; `undefined` before it was asked. */
  stored: number | undefined;
  /** On their way there. */
  sending: number;
  /** Not on their way yet. */
  own: number;
  /** By the clock of this process. */
  endsAt: number;
}

export const spentOf = ({ stored = 0, sending, own }: KnownSource): number => stored + sending + own;

export type Queued = readonly [source: string, known: KnownSource];

/** Sources of which something is in memory: the oldest of too many are forgotten, as the database has them. */
export interface KnownSources {
  /** Of a window that is not over. */
  of(source: string): KnownSource;
  /** It has something for the database, or wants something of it. */
  queue(...queued: Queued): void;
  /** Takes some out of the queue. */
  takeQueued(): readonly Queued[];
  hasQueued(): boolean;
  size(): number;
}

interface KnownSourcesDeps {
  readonly windowMs: number;
  readonly now: () => number;
  readonly most: number;
}

const mostTaken = 1000;

export function knownSources({ windowMs, now, most }: KnownSourcesDeps): KnownSources {
  const sources = new Map<string, KnownSource>();
  const queued = new Map<string, KnownSource>();
  return {
    of(source) {
      const known = sources.get(source) ?? queued.get(source);
      if (known !== undefined && known.endsAt > now()) return known;
      const fresh: KnownSource = { stored: undefined, sending: 0, own: 0, endsAt: now() + windowMs };
      sources.delete(source);
      queued.delete(source);
      keep(sources, most, [source, fresh]);
      return fresh;
    },
    queue: (...one) => keep(queued, most, one),
    takeQueued() {
      const taken = [...queued].slice(0, mostTaken);
      for (const [source] of taken) queued.delete(source);
      return taken;
    },
    hasQueued: () => queued.size > 0,
    size: () => sources.size,
  };
}

function keep(sources: Map<string, KnownSource>, most: number, [source, known]: Queued): void {
  sources.set(source, known);
  if (sources.size <= most) return;
  for (const oldest of sources.keys()) {
    sources.delete(oldest);
    return;
  }
}
