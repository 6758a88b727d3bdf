import { setTimeout as sleep } from "node:timers/promises";
import type { Command } from "commander";
import type { Config } from "../platform/config/schema.ts";
import { lockDataFolder } from "../platform/data-folder/lock-data-folder.ts";
import { makeDataFolder } from "../platform/data-folder/make-data-folder.ts";
import { releaseJobs } from "../platform/jobs/job-queue.ts";
import { untilShutdown } from "../platform/runtime/shutdown.ts";
import { flushAtEnd, type Log, openLog } from "../platform/telemetry/log.ts";
import { releaseHolds } from "../registry/uploads/release-holds.ts";
import { openAcme } from "./acme.ts";
import { startBackground } from "./background.ts";
import { listen } from "./listen.ts";
import { openRegistry } from "./open-registry.ts";
import { openOperation, startingEntrance } from "./operation.ts";
import { openServing, readinessChecks } from "./serving.ts";
import { type CommonOptions, readSettings, type Settings, withCommonOptions } from "./settings.ts";
import { StartError, startStep } from "./start-error.ts";

interface ServeOptions extends CommonOptions {
  readonly addr?: string;
}

/** `berth serve`: the registry, API and web pages on one port. */
export const addServe = (program: Command): void => {
  withCommonOptions(program.command("serve"))
    .description("run the registry")
    .option("--addr <host:port>", "where to listen (default 127.0.0.1:5000)")
    .action(async (options: ServeOptions) => run(readSettings(options, { "http.addr": options.addr })));
};

async function run({ config, warnings }: Settings): Promise<void> {
  const log = openLog(config.log.level);
  flushAtEnd(log);
  for (const warning of warnings) log.warn("configuration", { warning });
  const operation = await openOperation(config, log);
  const { readiness } = operation;
  let handle = startingEntrance(operation);
  // The port comes first: a server that cannot have it must not touch the data.
  const server = await listen(config, operation, (request) => handle(request));
  const acme = await openAcme(config, operation, server);
  const lock = await startStep(`data: ${config.data}`, async () => {
    await makeDataFolder(config.data);
    return lockDataFolder(config.data);
  });
  if (lock === undefined) throw new StartError(`${config.data}: another server is running on this data folder`);
  const registry = await openRegistry(config);
  // The lock shows that whoever wrote to the embedded database before is no more.
  if (registry.database.dialect === "sqlite") {
    await releaseHolds(registry);
    await releaseJobs(registry.database);
  }
  const serving = await openServing(config, registry, operation);
  handle = serving.handle;
  const stopBackground = startBackground(config, serving.registry, operation);
  warnOfOpenAccess(config, log);
  readiness.enter("running", [...readinessChecks(serving.registry), ...(acme?.checks ?? [])]);
  acme?.start();
  // Before anyone learns that it listens: who stops it then must not cut it off.
  const shutdown = untilShutdown();
  log.info("listening", { url: server.url });
  log.flush();
  log.info("stopping", { signal: await shutdown, requests: server.pending() });
  const { noticeSeconds, drainSeconds } = config.shutdown;
  readiness.enter("stopping");
  exitAtLast((noticeSeconds + drainSeconds) * 1000, log);
  server.sendAway();
  await sleep(noticeSeconds * 1000);
  const drainMs = drainSeconds * 1000;
  const drainUntil = performance.now() + drainMs;
  const [cutOff] = await Promise.all([server.stop(drainMs), stopBackground(), acme?.stop(drainMs)]);
  if (cutOff > 0) log.warn("requests cut off", { requests: cutOff });
  await operation.tracer?.stop(flushLimitMs(drainUntil));
  await registry.database.close();
  lock.release();
  log.info("stopped");
  await log.drain();
  process.exit(0);
}

/** What is left of the drain; a collector that does not answer is nobody's reason to stay. */
const flushLimitMs = (drainUntil: number): number => Math.min(5000, Math.max(500, drainUntil - performance.now()));

/** What hangs then is not waited for: whoever asked for the end would kill the process soon. */
function exitAtLast(limitMs: number, log: Log): void {
  const marginMs = 7000;
  void sleep(limitMs + marginMs).then(() => {
    log.warn("stopped before everything had ended");
    process.exit(0);
  });
}

function warnOfOpenAccess({ access, http }: Config, log: Log): void {
  if (access.mode === "open")
    log.warn("access.mode is open: everyone may push, pull and delete without signing in", { addr: http.addr });
}
