import type { Registry } from "../../../src/registry/registry.ts";
import { type At, scheduledRegistry } from "./scheduled-registry.ts";

/** Work that others come in between of, where a test says so. */
export interface Paused<T> {
  /** Lets it go on until it is there; at the end of the work where it never gets there. */
  reach(at: At): Promise<void>;
  /** Lets it go on to its end. */
  end(): Promise<T>;
}

export function paused<T>(registry: Registry, work: (registry: Registry) => Promise<T>): Paused<T> {
  let wanted: At | undefined;
  let reached = Promise.withResolvers<void>();
  let gate = Promise.withResolvers<void>();
  const turn = async (at: At): Promise<void> => {
    if (at !== wanted) return;
    reached.resolve();
    await gate.promise;
  };
  const goOn = (until: At | undefined): void => {
    const before = gate;
    wanted = until;
    reached = Promise.withResolvers();
    gate = Promise.withResolvers();
    before.resolve();
  };
  const start = gate.promise;
  const result = start.then(() => work(scheduledRegistry(registry, { turn })));
  const ended = result.then(
    () => undefined,
    () => undefined,
  );
  return {
    async reach(at) {
      goOn(at);
      await Promise.race([reached.promise, ended]);
    },
    end() {
      goOn(undefined);
      return result;
    },
  };
}
