/** Lets a few tasks run at a time, in the order in which they came. */
export interface Lanes {
  /** @throws Error EIO where none of those that run has ended within the limit */
  run<T>(task: () => Promise<T>): Promise<T>;
  /** Whether a task waits for others to end. */
  isBehind(): boolean;
}

export function openLanes(count: number, limitMs: number): Lanes {
  let free = count;
  const waiting: (() => void)[] = [];
  const enter = async (): Promise<void> => {
    if (free > 0) {
      free -= 1;
      return;
    }
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const timer = setTimeout(() => {
      waiting.splice(waiting.indexOf(resolve), 1);
      reject(Object.assign(new Error("the disk does not answer"), { code: "EIO" }));
    }, limitMs);
    waiting.push(resolve);
    await promise.finally(() => clearTimeout(timer));
  };
  const leave = (): void => {
    const next = waiting.shift();
    if (next === undefined) free += 1;
    else next();
  };
  return {
    async run(task) {
      await enter();
      try {
        return await task();
      } finally {
        leave();
      }
    },
    isBehind: () => waiting.length > 0,
  };
}
