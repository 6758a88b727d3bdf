import { setTimeout as sleep } from "node:timers/promises";
import type { Log } from "../platform/telemetry/log.ts";

const marginMs = 7000;

/**
 * What hangs then is not waited for: whoever asked for the end would kill the process soon.
 * @returns how long that is from now on
 */
export function exitAtLast(limitMs: number, log: Log): () => number {
  const endsAt = performance.now() + limitMs + marginMs;
  void sleep(limitMs + marginMs).then(() => {
    log.warn("stopped before everything had ended");
    process.exit(0);
  });
  return () => Math.max(0, endsAt - performance.now());
}
