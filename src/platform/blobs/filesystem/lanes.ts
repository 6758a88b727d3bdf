/** "first" is before all who come last: for who has waited for a turn already. */
export type Place = "first" | "last";

/** Lets a few tasks run at a time, in the order in which they came. */
export interface Lanes {
  /** @throws Error EIO where none of those that run has ended within the limit */
  run<T>(task: () => Promise<T>, place?: Place): Promise<T>;
  /** Whether a task waits for others to end. */
  isBehind(): boolean;
  /**
   * Waits in line as a task does, and keeps the lane for a turn of the event loop: what is at hand to be written is
   * brought by then and comes first, so that nobody need hold it while he waits.
   * @throws Error EIO as `run` does
   */
  waitForTurn(): Promise<void>;
}

export function openLanes(count: number, limitMs: number): Lanes {
  let free = count;
  const waiting: Readonly<Record<Place, (() => void)[]>> = { first: [], last: [] };
  const enter = async (place: Place): Promise<void> => {
    if (free > 0) {
      free -= 1;
      return;
    }
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const timer = setTimeout(() => {
      waiting[place].splice(waiting[place].indexOf(resolve), 1);
      reject(Object.assign(new Error("the disk does not answer"), { code: "EIO" }));
    }, limitMs);
    waiting[place].push(resolve);
    await promise.finally(() => clearTimeout(timer));
  };
  const leave = (): void => {
    const next = waiting.first.shift() ?? waiting.last.shift();
    if (next === undefined) free += 1;
    else next();
  };
  const run = async <T>(task: () => Promise<T>, place: Place = "last"): Promise<T> => {
    await enter(place);
    try {
      return await task();
    } finally {
      leave();
    }
  };
  return {
    run,
    isBehind: () => waiting.first.length + waiting.last.length > 0,
    async waitForTurn() {
      await enter("last");
      setImmediate(leave);
    },
  };
}
