import { fail } from "../../oci/problem.ts";

export interface TurnLimits {
  /** At once. */
  readonly concurrent: number;
  /** That may wait for their turn; one more is refused. */
  readonly waiting: number;
}

export type InTurn = <T>(work: () => Promise<T>) => Promise<T>;

const retryAfterSeconds = 1;

/** Bounds how much of something runs at once. What it returns throws RegistryError TOO_MANY_REQUESTS for `reason`. */
export function takeTurns({ concurrent, waiting }: TurnLimits, reason: string): InTurn {
  let running = 0;
  const queue: (() => void)[] = [];
  return async (work) => {
    if (running >= concurrent) {
      if (queue.length >= waiting) fail({ code: "TOO_MANY_REQUESTS", reason, retryAfterSeconds });
      // Who finishes hands over the turn, so `running` stays as it is.
      await new Promise<void>((resolve) => {
        queue.push(resolve);
      });
    } else {
      running += 1;
    }
    try {
      return await work();
    } finally {
      const next = queue.shift();
      if (next === undefined) running -= 1;
      else next();
    }
  };
}
