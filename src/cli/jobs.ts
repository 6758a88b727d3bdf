import type { Command } from "commander";
import { type JobState, listJobs, requestJob } from "../platform/jobs/job-queue.ts";
import { type CommonOptions, withCommonOptions } from "./settings.ts";
import { StartError } from "./start-error.ts";
import { withRegistry } from "./with-registry.ts";

interface JsonOptions extends CommonOptions {
  readonly json?: true;
}

/** `berth jobs list|run`: what the server does beside answering, on the data folder. */
export function addJobs(program: Command): void {
  const jobs = program.command("jobs").description("what the server does in the background");
  withCommonOptions(jobs.command("list"))
    .description("list every job, when it runs next and how it went last")
    .option("--json", "one JSON object a line")
    .action((options: JsonOptions) =>
      withRegistry(options, async ({ database }) => {
        for (const job of await listJobs(database)) {
          process.stdout.write(`${options.json ? JSON.stringify(shown(job)) : line(job)}\n`);
        }
      }),
    );
  withCommonOptions(jobs.command("run <name>"))
    .description("have the running server do a job now")
    .option("--json", "one JSON object")
    .action((name: string, options: JsonOptions) =>
      withRegistry(options, async ({ database }) => {
        const isKnown = await database.write((tx) => requestJob(tx, database, name));
        if (!isKnown) throw new StartError(`there is no job ${name}`);
        process.stdout.write(options.json ? `${JSON.stringify({ name, state: "next" })}\n` : `${name} is next\n`);
      }),
    );
}

const isoTime = (ms: number | null): string | undefined => (ms === null ? undefined : new Date(ms).toISOString());

const shown = (job: JobState) => ({
  name: job.name,
  state: job.state,
  runAt: isoTime(job.run_at),
  startedAt: isoTime(job.started_at),
  endedAt: isoTime(job.ended_at),
  runs: job.runs,
  failedRuns: job.failed_runs,
  progress: job.progress ?? undefined,
  error: job.error ?? undefined,
});

function line(job: JobState): string {
  const { name, state, runAt = "", endedAt, runs, failedRuns, progress, error } = shown(job);
  const last = endedAt === undefined ? "never ended" : `ended ${endedAt}`;
  const how = error === undefined ? (progress ?? "") : `failed: ${error}`;
  return [name, state, `next ${runAt}`, last, `${runs} runs, ${failedRuns} failed`, how].filter(Boolean).join("  ");
}
