import { setTimeout as sleep } from "node:timers/promises";
import type { Log } from "../platform/telemetry/log.ts";

const marginMs = 7000;

/** What hangs then is not waited for: whoever asked for the end would kill the process soon. */
export function exitAtLast(limitMs: number, log: Log): void {
  void sleep(limitMs + marginMs).then(() => {
    log.warn("stopped before everything had ended");
    process.exit(0);
  });
}
