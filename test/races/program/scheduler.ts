import type { Random } from "../../hostile/fuzz/random.ts";

/** Lets clients go on one at a time, each to its next turn; which one is the seed's choice. */
export interface Scheduler {
  /** Waits until this client is the one that may go on. */
  turn(client: number): Promise<void>;
  /** @returns once all have ended */
  run(clients: readonly ((client: number) => Promise<void>)[]): Promise<void>;
  /** What everybody's order is told by: grows with each call. */
  tick(): number;
  /** How often all who were left waited for each other. */
  deadlocks(): number;
}

const pickOne = (random: Random, clients: readonly number[]): number | undefined =>
  clients[random.int(Math.max(1, clients.length))];

/** How many of the clients that were let go on wait for a lock; absent where none ever does. */
export type CountBlocked = () => Promise<number>;

/** Longer than most statements take: a client that waits for a lock is in no hurry. */
const pollMs = 5;

/** Whether nothing happened for so long. */
async function noChange(change: Promise<void>, forMs: number | undefined): Promise<boolean> {
  if (forMs === undefined) return change.then(() => false);
  let timer: NodeJS.Timeout | undefined;
  const quiet = new Promise<boolean>((resolve) => (timer = setTimeout(resolve, forMs, true)));
  try {
    return await Promise.race([change.then(() => false), quiet]);
  } finally {
    clearTimeout(timer);
  }
}

export function createScheduler(random: Random, countBlocked?: CountBlocked): Scheduler {
  const parked = new Map<number, () => void>();
  // Most races need few changes from one client to another at the right places: some seeds have many, some few.
  const patience = random.pick([0, 5, 7]);
  let last = -1;
  let running = 0;
  let ticks = 0;
  let deadlocks = 0;
  let changed = Promise.withResolvers<void>();
  const wake = (): void => {
    changed.resolve();
    changed = Promise.withResolvers();
  };
  /** Until all are parked, ended or waiting for a lock that one of the parked has. */
  const settle = async (): Promise<void> => {
    for (;;) {
      if (running === 0) return;
      const isQuiet = await noChange(changed.promise, countBlocked === undefined ? undefined : pollMs);
      if (!isQuiet || countBlocked === undefined) continue;
      const asked = running;
      if ((await countBlocked()) === asked && running === asked) return;
    }
  };
  return {
    turn(client) {
      if (parked.has(client)) throw new Error("a client does one thing at a time");
      const { promise, resolve } = Promise.withResolvers<void>();
      parked.set(client, resolve);
      running -= 1;
      wake();
      return promise;
    },
    async run(clients) {
      running = clients.length;
      const failures: unknown[] = [];
      for (const [at, client] of clients.entries()) {
        void client(at)
          .catch((error: unknown) => failures.push(error))
          .finally(() => {
            running -= 1;
            wake();
          });
      }
      for (;;) {
        await settle();
        const waiting = [...parked.keys()].toSorted((a, b) => a - b);
        if (waiting.length === 0 && running === 0) break;
        const next = waiting.includes(last) && random.int(8) < patience ? last : pickOne(random, waiting);
        if (next === undefined) {
          // The database ends this by itself, and those that it gave up begin again.
          deadlocks += 1;
          await changed.promise;
          continue;
        }
        last = next;
        const resume = parked.get(next);
        parked.delete(next);
        running += 1;
        resume?.();
      }
      if (failures.length > 0) throw new AggregateError(failures, "clients of a random program failed");
    },
    tick: () => (ticks += 1),
    deadlocks: () => deadlocks,
  };
}
