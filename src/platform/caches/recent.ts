/** What was so a moment ago. It is forgotten as time goes by, and the oldest of too many is. */
export interface Recent<V> {
  get(key: string): V | undefined;
  /** From now on, whatever was known before. */
  set(key: string, value: V): void;
  delete(key: string): void;
  /** How many take memory. */
  size(): number;
}

interface Kept<V> {
  readonly value: V;
  readonly until: number;
}

export interface RecentLimits {
  readonly most: number;
  readonly forMs: number;
  /** In milliseconds; never goes back. */
  readonly now?: () => number;
}

/** What has run out goes with the next that comes: if it only counted for nothing, a server would grow for hours. */
export function recent<V>({ most, forMs, now = () => performance.now() }: RecentLimits): Recent<V> {
  /** The oldest first. */
  const kept = new Map<string, Kept<V>>();
  const trim = (at: number): void => {
    for (const [key, { until }] of kept) {
      if (until > at && kept.size <= most) return;
      kept.delete(key);
    }
  };
  return {
    size: () => kept.size,
    get(key) {
      const found = kept.get(key);
      return found === undefined || found.until <= now() ? undefined : found.value;
    },
    set(key, value) {
      const at = now();
      kept.delete(key);
      kept.set(key, { value, until: at + forMs });
      trim(at);
    },
    delete: (key) => void kept.delete(key),
  };
}
