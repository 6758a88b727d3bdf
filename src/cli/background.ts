import { sweepUploads } from "../features/maintenance/sweep-uploads.ts";
import type { Config } from "../platform/config/schema.ts";
import type { Log } from "../platform/telemetry/log.ts";
import { collect } from "../registry/collect.ts";
import type { Registry } from "../registry/registry.ts";

/**
 * What a server does beside its requests, in one of its processes alone.
 * @returns ends it; resolves when what runs has come to its end
 */
export const startBackground = (config: Config, registry: Registry, log: Log): (() => Promise<void>) =>
  collectRegularly(registry, config.collect.intervalSeconds, log);

/** One pass after the other, with a rest between; a pass that fails is tried again at the next turn. */
function collectRegularly(registry: Registry, intervalSeconds: number, log: Log): () => Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  let stopped = false;
  let running = Promise.resolve();
  const schedule = (): void => {
    timer = setTimeout(() => {
      running = turn();
    }, intervalSeconds * 1000);
  };
  const turn = async (): Promise<void> => {
    try {
      const collected = { ...(await collect(registry)), swept: await sweepUploads(registry) };
      if (Object.values(collected).some((count) => count > 0)) log.info("collected", { ...collected });
    } catch (error) {
      log.error("collect failed", error);
    }
    if (!stopped) schedule();
  };
  schedule();
  return () => {
    stopped = true;
    clearTimeout(timer);
    return running;
  };
}
