import type { Database } from "../database/database.ts";
import type { Log } from "../telemetry/log.ts";
import { dueJobs, endJob, type Lease, renewJob, scheduleJob, takeJob } from "./job-queue.ts";

export interface JobRun {
  /** Aborted when the server stops or another process has taken the job over; the run then ends where it can. */
  readonly signal: AbortSignal;
  /** A few words for `berth jobs list`. */
  progress(text: string): void;
}

export interface Job {
  readonly name: string;
  /** The rest between the end of a run and the next one. */
  readonly everyMs: number;
  /** Asked when the time has come: reads alone, so that idle servers write nothing. Without it, there always is some. */
  readonly hasWork?: () => Promise<boolean>;
  readonly run: (run: JobRun) => Promise<void>;
}

export interface JobSettings {
  /** How often the queue is looked at. */
  readonly pollMs: number;
  /** How long a process is believed without a sign of life. */
  readonly leaseMs: number;
  /** The longest rest after failures. */
  readonly mostRestMs: number;
}

const usual: JobSettings = { pollMs: 500, leaseMs: 30_000, mostRestMs: 60_000 };

interface Runner {
  readonly database: Database;
  readonly log: Log;
  readonly settings: JobSettings;
  readonly stopping: AbortController;
  readonly running: Map<string, Promise<void>>;
  /** Runs that failed one after the other, by job. */
  readonly failures: Map<string, number>;
}

/**
 * Runs each job whenever its time has come, in this process or in another one on the same database: the queue and the
 * leases are rows, and their times the database's. A run that fails is tried again, after a rest that grows.
 * @returns begins no more runs, tells those that go on, and resolves when they have ended
 */
export function runJobs(
  { database, log }: { readonly database: Database; readonly log: Log },
  jobs: readonly Job[],
  settings: JobSettings = usual,
): () => Promise<void> {
  const stopping = new AbortController();
  const runner: Runner = { database, log, settings, stopping, running: new Map(), failures: new Map() };
  const { signal } = stopping;
  let failing = false;
  const scheduled = new Set<string>();
  const turn = async (): Promise<void> => {
    try {
      for (const job of jobs) {
        if (!scheduled.has(job.name)) await scheduleJob(database, job.name, job.everyMs);
        scheduled.add(job.name);
      }
      const due = await dueJobs(database);
      for (const job of due.flatMap((name) => jobs.find((one) => one.name === name) ?? [])) {
        if (runner.running.has(job.name) || signal.aborted) continue;
        if (job.hasWork !== undefined && !(await job.hasWork())) continue;
        begin(runner, job);
      }
      failing = false;
    } catch (error) {
      // Once for a database that is away, not once a second.
      if (!failing && !signal.aborted) log.error("job queue failed", error);
      failing = true;
    }
  };
  const loop = async (): Promise<void> => {
    while (!signal.aborted) {
      await turn();
      await rest(settings.pollMs, signal);
    }
  };
  const looping = loop();
  return async () => {
    stopping.abort();
    await looping;
    await Promise.all(runner.running.values());
  };
}

function begin(runner: Runner, job: Job): void {
  const run = runJob(runner, job)
    .catch((error: unknown) => runner.log.error("job queue failed", error, { job: job.name }))
    .finally(() => runner.running.delete(job.name));
  runner.running.set(job.name, run);
}

async function runJob(runner: Runner, job: Job): Promise<void> {
  const { database, settings, stopping } = runner;
  const lease: Lease = { name: job.name, holder: crypto.randomUUID(), leaseMs: settings.leaseMs };
  if (!(await takeJob(database, lease))) return;
  const lost = new AbortController();
  let progress: string | undefined;
  const heartbeat = setInterval(() => {
    renewJob(database, lease, progress).then(
      (isOurs) => isOurs || lost.abort(),
      // Without an answer the lease ends by itself, and what the run writes is safe from another's.
      () => undefined,
    );
  }, settings.leaseMs / 3);
  const signal = AbortSignal.any([stopping.signal, lost.signal]);
  const [outcome] = await Promise.allSettled([job.run({ signal, progress: (text) => (progress = text) })]);
  clearInterval(heartbeat);
  if (outcome.status === "fulfilled") {
    runner.failures.delete(job.name);
    return endJob(database, lease, { restMs: job.everyMs, progress, error: undefined });
  }
  const failure: unknown = outcome.reason;
  if (signal.aborted) {
    // Told to end, it did not come to its end: whoever is next begins it anew, at once.
    runner.log.info("job interrupted", { job: job.name });
    return endJob(database, lease, { restMs: 0, progress: "interrupted", error: undefined });
  }
  runner.log.error("job failed", failure, { job: job.name });
  const failures = (runner.failures.get(job.name) ?? 0) + 1;
  runner.failures.set(job.name, failures);
  const restMs = Math.min(settings.mostRestMs, firstRestMs * 2 ** (failures - 1));
  const error = failure instanceof Error ? failure.message : String(failure);
  return endJob(database, lease, { restMs, progress, error });
}

const firstRestMs = 1000;

function rest(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const done = (): void => {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener("abort", done);
  });
}
