import { sweepFinished, sweepUploads } from "../features/maintenance/sweep-uploads.ts";
import type { Config } from "../platform/config/schema.ts";
import type { Database } from "../platform/database/database.ts";
import { boundEvents } from "../platform/events/consume-events.ts";
import { sequenceEvents } from "../platform/events/positions.ts";
import { listJobs } from "../platform/jobs/job-queue.ts";
import { type Job, runJobs } from "../platform/jobs/run-jobs.ts";
import type { Log } from "../platform/telemetry/log.ts";
import type { Metrics } from "../platform/telemetry/metrics.ts";
import { collect } from "../registry/collect.ts";
import type { Registry } from "../registry/registry.ts";
import type { Operation } from "./operation.ts";

/**
 * What a server does beside its requests, in one of its processes alone.
 * @returns ends it; resolves when what runs has come to its end
 */
export function startBackground(config: Config, registry: Registry, { log, metrics }: Operation): () => Promise<void> {
  measureJobs(registry.database, metrics);
  return runJobs({ database: registry.database, log }, [collectJob(registry, config, log)]);
}

function collectJob(registry: Registry, { collect: { intervalSeconds } }: Config, log: Log): Job {
  let isFirst = true;
  return {
    name: "collect",
    everyMs: intervalSeconds * 1000,
    async run({ progress }) {
      const swept = (await sweepUploads(registry)) + (isFirst ? await sweepFinished(registry) : 0);
      isFirst = false;
      const collected = { ...(await collect(registry)), swept };
      await sequenceEvents(registry.database);
      await boundEvents(registry.database, mostEvents);
      progress(
        Object.entries(collected)
          .map(([what, count]) => `${count} ${what}`)
          .join(", "),
      );
      if (Object.values(collected).some((count) => count > 0)) log.info("collected", { ...collected });
    },
  };
}

/** Changes that are kept for those who have not read them yet. */
const mostEvents = 100_000;

function measureJobs(database: Database, metrics: Metrics): void {
  const waiting = async () => (await listJobs(database)).filter(({ state }) => state === "waiting");
  metrics.gauge(
    "berth_task_queue_size",
    "Jobs whose time has come and that nobody runs.",
    async () => (await waiting()).length,
  );
  metrics.gauge("berth_task_queue_latency_seconds", "How long the oldest of them has been waiting.", async () =>
    Math.max(0, ...(await waiting()).map(({ waitedMs }) => waitedMs / 1000)),
  );
  metrics.gauge(
    "berth_task_failing",
    "Jobs whose last run failed.",
    async () => (await listJobs(database)).filter(({ error }) => error !== null).length,
  );
}
