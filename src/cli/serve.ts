import { setTimeout as sleep } from "node:timers/promises";
import type { Command } from "commander";
import { ensureFirstAdministrator } from "../access/first-administrator.ts";
import { loadInstanceSecret } from "../access/instance-secret.ts";
import { type Access, openAccess } from "../access/open-access.ts";
import { sweepFinished, sweepUploads } from "../features/maintenance/sweep-uploads.ts";
import { authenticator } from "../http/authenticate.ts";
import { challenger } from "../http/challenge.ts";
import { distribution } from "../http/distribution/distribution.ts";
import { entrance } from "../http/entrance.ts";
import { tokenSite } from "../http/token/token-site.ts";
import { blobStoreProblem } from "../platform/blobs/blob-store-problem.ts";
import { measuredBlobStore } from "../platform/blobs/measured-blob-store.ts";
import type { Config } from "../platform/config/schema.ts";
import { lockDataFolder } from "../platform/data-folder/lock-data-folder.ts";
import { makeDataFolder } from "../platform/data-folder/make-data-folder.ts";
import { databaseProblem } from "../platform/database/database-problem.ts";
import { createPasswords } from "../platform/passwords/passwords.ts";
import type { Handle } from "../platform/runtime/http.ts";
import { untilShutdown } from "../platform/runtime/shutdown.ts";
import { flushAtEnd, type Log, openLog } from "../platform/telemetry/log.ts";
import type { Metrics } from "../platform/telemetry/metrics.ts";
import { collect } from "../registry/collect.ts";
import type { Registry } from "../registry/registry.ts";
import { releaseHolds } from "../registry/uploads/release-holds.ts";
import { listen } from "./listen.ts";
import { openRegistry } from "./open-registry.ts";
import { type Operation, openOperation, startingEntrance } from "./operation.ts";
import { type CommonOptions, readSettings, type Settings, withCommonOptions } from "./settings.ts";
import { StartError, startStep } from "./start-error.ts";

const tokenSeconds = 300;
/** Argon2id takes 19 MiB and 25 ms of a core each. */
const passwordLimits = { concurrent: 2, waiting: 64 };

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
  const operation = openOperation(config, log);
  const { readiness, metrics } = operation;
  let handle = startingEntrance(operation);
  // The port comes first: a server that cannot have it must not touch the data.
  const server = await listen(config, operation, (request) => handle(request));
  const lock = await startStep(`data: ${config.data}`, async () => {
    await makeDataFolder(config.data);
    return lockDataFolder(config.data);
  });
  if (lock === undefined) throw new StartError(`${config.data}: another server is running on this data folder`);
  const registry = measured(await openRegistry(config), metrics);
  // The lock shows that whoever wrote to the embedded database before is no more.
  if (registry.database.dialect === "sqlite") await releaseHolds(registry);
  const access = await openAccessOf(config, registry, log);
  handle = entranceOf(config, { registry, access, operation });
  const stopCollecting = collectRegularly(registry, config.collect.intervalSeconds, log);
  warnOfOpenAccess(config, log);
  readiness.enter("running", [
    { name: "database", problem: () => databaseProblem(registry.database) },
    { name: "store", problem: () => blobStoreProblem(registry.blobs) },
  ]);
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
  const [cutOff] = await Promise.all([server.stop(drainSeconds * 1000), stopCollecting()]);
  if (cutOff > 0) log.warn("requests cut off", { requests: cutOff });
  await registry.database.close();
  lock.release();
  log.info("stopped");
  await log.drain();
  process.exit(0);
}

/** What hangs then is not waited for: whoever asked for the end would kill the process soon. */
function exitAtLast(limitMs: number, log: Log): void {
  const marginMs = 7000;
  void sleep(limitMs + marginMs).then(() => {
    log.warn("stopped before everything had ended");
    process.exit(0);
  });
}

/** The registry with its store's actions timed. */
const measured = (registry: Registry, metrics: Metrics): Registry => ({
  ...registry,
  blobs: measuredBlobStore(registry.blobs, (action, seconds) => metrics.storageAction("filesystem", action, seconds)),
});

async function openAccessOf(config: Config, { database }: Registry, log: Log): Promise<Access> {
  const passwords = createPasswords(passwordLimits);
  const now = Date.now;
  const dataFolder = config.data;
  const secret = await loadInstanceSecret({ configured: config.secret, dataFolder });
  const access = await openAccess({
    database,
    passwords,
    secret,
    policy: { mode: config.access.mode },
    tokenSettings: { issuer: "berth", service: config.access.service, ttlSeconds: tokenSeconds },
    now,
  });
  const configured = process.env["BERTH_ADMIN_PASSWORD"];
  const first = await ensureFirstAdministrator({ database, passwords, dataFolder, now }, configured);
  if (first.kind === "created") log.info("account created", { account: first.name });
  if (first.kind === "created-with-password") {
    process.stdout.write(
      `\nSign in as ${first.name} with the password ${first.password}\n` +
        `It is kept in ${first.path} until you change it, and will not be shown again.\n\n`,
    );
  }
  return access;
}

interface Parts {
  readonly registry: Registry;
  readonly access: Access;
  readonly operation: Operation;
}

function entranceOf({ http, delete: { enabled } }: Config, { registry, access, operation }: Parts): Handle {
  const authenticate = authenticator(access);
  const { log, metrics, site } = operation;
  return entrance({
    log,
    metrics,
    challenge: challenger({ service: access.service, publicUrl: http.publicUrl }),
    sites: [distribution({ registry, access, authenticate, deletesEnabled: enabled }), tokenSite(access), site],
  });
}

/** One pass after the other, with a rest between; a pass that fails is tried again at the next turn. */
function collectRegularly(registry: Registry, intervalSeconds: number, log: Log): () => Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  let stopped = false;
  let isFirst = true;
  let running = Promise.resolve();
  const schedule = (): void => {
    timer = setTimeout(() => {
      running = turn();
    }, intervalSeconds * 1000);
  };
  const turn = async (): Promise<void> => {
    try {
      const swept = (await sweepUploads(registry)) + (isFirst ? await sweepFinished(registry) : 0);
      isFirst = false;
      const collected = { ...(await collect(registry)), swept };
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

function warnOfOpenAccess({ access, http }: Config, log: Log): void {
  if (access.mode === "open")
    log.warn("access.mode is open: everyone may push, pull and delete without signing in", { addr: http.addr });
}
