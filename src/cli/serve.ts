import { setTimeout as sleep } from "node:timers/promises";
import type { Command } from "commander";
import { guessesUnderWay } from "../access/guesses-under-way.ts";
import type { Config } from "../platform/config/schema.ts";
import { releaseJobs } from "../platform/jobs/job-queue.ts";
import type { Handle } from "../platform/runtime/http.ts";
import { untilShutdown } from "../platform/runtime/shutdown.ts";
import { flushAtEnd, type Log, openLog, standardOutput } from "../platform/telemetry/log.ts";
import { releaseHolds } from "../registry/uploads/release-holds.ts";
import { openWantedAcme } from "./wanted-acme.ts";
import { startBackground } from "./background.ts";
import { exitAtLast } from "./exit-at-last.ts";
import { listen } from "./listen.ts";
import { openRegistry } from "./open-registry.ts";
import { openOperation, startingEntrance } from "./operation.ts";
import { requireWholeRegistry } from "./require-whole-registry.ts";
import { openServing, readinessChecks } from "./serving.ts";
import { type CommonOptions, readSettings, type Settings, withCommonOptions } from "./settings.ts";
import { supervise } from "./supervise.ts";
import { takeFolder } from "./take-folder.ts";
import { flushTraces } from "./tracing.ts";

interface ServeOptions extends CommonOptions {
  readonly addr?: string;
  readonly workers?: string;
}

/** `berth serve`: the registry, API and web pages on one port. */
export const addServe = (program: Command): void => {
  withCommonOptions(program.command("serve"))
    .description("run the registry")
    .option("--addr <host:port>", "where to listen (default 127.0.0.1:5000)")
    .option("--workers <number>", "how many processes serve the port (default 1)")
    .action(async ({ addr, workers, ...options }: ServeOptions) => {
      await run(readSettings(options, { "http.addr": addr, "http.workers": workers }));
    });
};

async function run({ config, warnings }: Settings): Promise<void> {
  const output = standardOutput();
  const log = openLog(config.log.level, output);
  flushAtEnd(log);
  for (const warning of warnings) log.warn("configuration", { warning });
  warnOfOpenAccess(config, log);
  await (config.http.workers > 1 ? supervise(config, { log, output }) : serveAlone(config, log));
}

/** What a database that answers takes to be closed, many times over. */
const closeMs = 1500;
/** What the audit log still has to take down; a disk that does not answer is no reason to stay. */
const notesMs = 2000;

async function serveAlone(config: Config, log: Log): Promise<never> {
  const operation = await openOperation(config, log);
  const { readiness } = operation;
  const { promise: opened, resolve: open } = Promise.withResolvers<Handle>();
  let handle = startingEntrance(operation, opened);
  // The port comes first: a server that cannot have it must not touch the data.
  const server = await listen(config, operation, { handle: (request) => handle(request) });
  const acme = await openWantedAcme(config, operation, server);
  const lock = await takeFolder(config);
  const registry = await openRegistry(config);
  await requireWholeRegistry(registry);
  // The lock shows that whoever wrote to the embedded database before is no more.
  if (registry.database.dialect === "sqlite") {
    await releaseHolds(registry);
    await releaseJobs(registry.database);
  }
  const serving = await openServing(config, registry, { operation, guesses: guessesUnderWay() });
  handle = serving.handle;
  open(handle);
  const background = startBackground(config, serving, operation);
  readiness.enter("running", [...readinessChecks(serving.registry), ...(acme?.checks ?? [])]);
  acme?.start();
  // Before anyone learns that it listens: who stops it then must not cut it off.
  const shutdown = untilShutdown(["SIGHUP"]);
  log.info("listening", { url: server.url });
  log.flush();
  log.info("stopping", { signal: await shutdown, requests: server.pending() });
  const { noticeSeconds, drainSeconds } = config.shutdown;
  readiness.enter("stopping");
  const remainingMs = exitAtLast((noticeSeconds + drainSeconds) * 1000, log);
  server.sendAway();
  await sleep(noticeSeconds * 1000);
  const drainMs = drainSeconds * 1000;
  const drainUntil = performance.now() + drainMs;
  const [cutOff] = await Promise.all([server.stop(drainMs), background.stop(), acme?.stop(drainMs)]);
  if (cutOff > 0) log.warn("requests cut off", { requests: cutOff });
  await flushTraces(operation.tracer, drainUntil);
  // The database has to be closed in time too: the end of a process waits for what is open in it.
  await serving.flushNotes(Math.min(notesMs, Math.max(0, remainingMs() - closeMs)));
  await background.flush(Math.max(0, remainingMs() - closeMs));
  await registry.database.close();
  lock.release();
  log.info("stopped");
  await log.drain();
  process.exit(0);
}

function warnOfOpenAccess({ access, http }: Config, log: Log): void {
  if (access.mode === "open")
    log.warn("access.mode is open: everyone may push, pull and delete without signing in", { addr: http.addr });
}
