import type { Database } from "./database.ts";

/** What was made of what a database holds, for as long as nobody commits. */
export interface UntilCommit<V> {
  /** To be asked for before anything is read of what is kept; `undefined` where the database cannot tell. */
  moment(): number | undefined;
  get(key: string): V | undefined;
  /** Keeps what was read at that moment or later, unless somebody has committed since. */
  keep(key: string, value: V, moment: number | undefined): void;
}

interface Bound<V> {
  readonly mostBytes: number;
  /** What one takes, about. */
  readonly bytesOf: (value: V, key: string) => number;
}

/** A commit empties it, as does one more than it has room for: both are rare where the same things are asked for again. */
export function untilCommit<V>(
  { revision }: Pick<Database, "revision">,
  { mostBytes, bytesOf }: Bound<V>,
): UntilCommit<V> {
  const kept = new Map<string, V>();
  let keptAt: number | undefined;
  let bytes = 0;
  const empty = (): void => {
    if (kept.size > 0) kept.clear();
    bytes = 0;
  };
  const moment = (): number | undefined => {
    const now = revision?.();
    if (now !== keptAt) empty();
    keptAt = now;
    return now;
  };
  return {
    moment,
    get: (key) => (moment() === undefined ? undefined : kept.get(key)),
    keep(key, value, at) {
      if (at === undefined || at !== moment()) return;
      bytes += bytesOf(value, key);
      if (bytes > mostBytes) empty();
      kept.set(key, value);
    },
  };
}
