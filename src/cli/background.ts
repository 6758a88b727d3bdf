import { setTimeout as sleep } from "node:timers/promises";
import { sourcesJobName } from "../access/sources/sources-job.ts";
import type { Sources } from "../access/sources/sources.ts";
import { auditJobs } from "../features/audit/audit-jobs.ts";
import { tellChanges } from "../features/audit/consume.ts";
import { consumerName, type Journal, type JournalSettings } from "../features/journal/journal.ts";
import { journalJobs } from "../features/journal/journal-jobs.ts";
import { pullLimitsJob } from "../features/limits/limits-job.ts";
import { readState } from "../features/journal/journal-state.ts";
import { segmentWriter } from "../features/journal/write-segments.ts";
import { sweepFinished, sweepUploads } from "../features/maintenance/sweep-uploads.ts";
import type { Config } from "../platform/config/schema.ts";
import type { Database } from "../platform/database/database.ts";
import { consumerBacklog } from "../platform/events/consume-events.ts";
import { listJobs } from "../platform/jobs/job-queue.ts";
import { type Job, runJobs } from "../platform/jobs/run-jobs.ts";
import type { Log } from "../platform/telemetry/log.ts";
import type { Metrics } from "../platform/telemetry/metrics.ts";
import { collect } from "../registry/collect.ts";
import type { Registry } from "../registry/registry.ts";
import { wantsPullLimits } from "./open-pull-limits.ts";
import type { Operation } from "./operation.ts";
import type { Serving } from "./serving.ts";

export interface Background {
  /** Begins nothing more; resolves when what runs has come to its end. */
  stop(): Promise<void>;
  /** After the last request: what it changed is in the journal too, if the store and the database answer in time. */
  flush(limitMs: number): Promise<void>;
}

/** What a server does beside its requests, in one of its processes alone. */
export function startBackground(
  config: Config,
  { registry, sources }: Pick<Serving, "registry" | "sources">,
  { log, metrics }: Operation,
): Background {
  const { database } = registry;
  const journal: Journal = { database, documents: registry.blobs.documents, log, settings: journalSettings(config) };
  const segments = segmentWriter(journal);
  const jobs = [
    collectJob(registry, config, log),
    ...journalJobs(journal, segments),
    ...(config.audit.enabled ? auditJobs(database, auditSettings(config)) : []),
    ...(wantsPullLimits(config) ? [pullLimitsJob(database, config.pullLimits.windowSeconds * 1000)] : []),
    sourcesJob(sources, config),
  ];
  measureJobs(database, jobs, metrics);
  measureJournal(database, metrics);
  const stop = runJobs({ database, log }, jobs);
  return {
    stop,
    async flush(limitMs) {
      const late = sleep(limitMs, undefined, { ref: false }).then(() => Promise.reject(new Error("it took too long")));
      const [outcome] = await Promise.allSettled([
        Promise.race([tellChanges(database).then(() => segments.write()), late]),
      ]);
      if (outcome.status === "rejected") log.error("journal not written", outcome.reason);
    },
  };
}

const documentBytes = 4 * 1024 * 1024;

const journalSettings = ({ journal }: Config): JournalSettings => ({
  intervalMs: journal.intervalSeconds * 1000,
  snapshotMs: journal.snapshotSeconds * 1000,
  mostPending: journal.maxPendingChanges,
  documentBytes,
});

const dayMs = 86_400_000;

const auditSettings = ({ audit: { sealSeconds, keepDays } }: Config) => ({
  sealMs: sealSeconds * 1000,
  keptMs: keepDays === undefined ? undefined : keepDays * dayMs,
});

function collectJob(registry: Registry, { collect: { intervalSeconds } }: Config, log: Log): Job {
  let isFirst = true;
  return {
    name: "collect",
    everyMs: intervalSeconds * 1000,
    async run({ progress }) {
      const swept = (await sweepUploads(registry)) + (isFirst ? await sweepFinished(registry) : 0);
      isFirst = false;
      const collected = { ...(await collect(registry)), swept };
      progress(
        Object.entries(collected)
          .map(([what, count]) => `${count} ${what}`)
          .join(", "),
      );
      if (Object.values(collected).some((count) => count > 0)) log.info("collected", { ...collected });
    },
  };
}

const sourcesJob = (sources: Sources, { access: { resyncSeconds } }: Config): Job => ({
  name: sourcesJobName,
  everyMs: resyncSeconds * 1000,
  hasWork: () => sources.hasAccounts(),
  async run({ signal, progress }) {
    progress(await sources.resync(signal));
  },
});

/** Of jobs that wait for work, only those count that have some, and their rest is none of the waiting. */
function measureJobs(database: Database, jobs: readonly Job[], metrics: Metrics): void {
  const waiting = async () => {
    const due = (await listJobs(database)).filter(({ state }) => state === "waiting");
    const found: { readonly waitedMs: number }[] = [];
    for (const { name, waitedMs } of due) {
      const hasWork = jobs.find((job) => job.name === name)?.hasWork;
      if (hasWork === undefined) found.push({ waitedMs });
      else if (await hasWork()) found.push({ waitedMs: 0 });
    }
    return found;
  };
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

function measureJournal(database: Database, metrics: Metrics): void {
  metrics.gauge(
    "berth_journal_pending_changes",
    "Changes that are not in the journal yet.",
    async () => (await consumerBacklog(database, consumerName)).changes,
  );
  metrics.gauge(
    "berth_journal_lag_seconds",
    "How long the oldest of them has waited.",
    async () => (await consumerBacklog(database, consumerName)).oldestMs / 1000,
  );
  metrics.gauge("berth_journal_snapshot_timestamp_seconds", "When the newest snapshot was finished.", async () => {
    const state = await readState(database.read);
    return state === undefined || state.snapshot_at === 0 ? undefined : state.snapshot_at / 1000;
  });
}
