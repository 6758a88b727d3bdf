import type { Registry } from "../../../src/registry/registry.ts";
import { scheduledRegistry } from "./scheduled-registry.ts";

export interface Paused<T> {
  /** What runs, beside what others do; it stops where it was told to. */
  readonly result: Promise<T>;
  /** Resolves when it has stopped. */
  readonly stopped: Promise<void>;
  readonly goOn: () => void;
}

/** Runs `work` up to its n-th turn, and from there when it may go on. */
export function paused<T>(registry: Registry, turns: number, work: (registry: Registry) => Promise<T>): Paused<T> {
  const stopped = Promise.withResolvers<void>();
  const gate = Promise.withResolvers<void>();
  let left = turns;
  const turn = async (): Promise<void> => {
    left -= 1;
    if (left !== 0) return;
    stopped.resolve();
    await gate.promise;
  };
  return { result: work(scheduledRegistry(registry, { turn })), stopped: stopped.promise, goOn: gate.resolve };
}
