import type { Log } from "../../src/platform/telemetry/log.ts";

const nothing = (): void => undefined;

/** A log that keeps nothing but the events of errors. */
export function quietLog(): { readonly log: Log; readonly errors: readonly string[] } {
  const errors: string[] = [];
  const log: Log = {
    debug: nothing,
    info: nothing,
    warn: nothing,
    error: (event) => void errors.push(event),
    flush: nothing,
    drain: async () => undefined,
    flushSync: nothing,
  };
  return { log, errors };
}
