import type { Command } from "commander";
import { ensureFirstAdministrator } from "../access/first-administrator.ts";
import { loadInstanceSecret } from "../access/instance-secret.ts";
import { type Access, openAccess } from "../access/open-access.ts";
import { sweepUploads } from "../features/maintenance/sweep-uploads.ts";
import { authenticator } from "../http/authenticate.ts";
import { challenger } from "../http/challenge.ts";
import { distribution } from "../http/distribution/distribution.ts";
import { entrance } from "../http/entrance.ts";
import { tokenSite } from "../http/token/token-site.ts";
import type { Config } from "../platform/config/schema.ts";
import { lockDataFolder } from "../platform/data-folder/lock-data-folder.ts";
import { makeDataFolder } from "../platform/data-folder/make-data-folder.ts";
import { createPasswords } from "../platform/passwords/passwords.ts";
import type { Handle } from "../platform/runtime/http.ts";
import { serve } from "../platform/runtime/serve.ts";
import { untilShutdown } from "../platform/runtime/shutdown.ts";
import { type Log, openLog } from "../platform/telemetry/log.ts";
import { collect } from "../registry/collect.ts";
import type { Registry } from "../registry/registry.ts";
import { releaseHolds } from "../registry/uploads/release-holds.ts";
import { openRegistry } from "./open-registry.ts";
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

const notReady: Handle = async () => ({ kind: "empty", status: 503, headers: { "retry-after": 1 } });

async function run({ config, warnings }: Settings): Promise<void> {
  const log = openLog(config.log.level);
  for (const warning of warnings) log.warn("configuration", { warning });
  let handle: Handle = notReady;
  // The port comes first: a server that cannot have it must not touch the data.
  const server = listen(config, (request) => handle(request));
  const lock = await startStep(`data: ${config.data}`, async () => {
    await makeDataFolder(config.data);
    return lockDataFolder(config.data);
  });
  if (lock === undefined) throw new StartError(`${config.data}: another server is running on this data folder`);
  const registry = await openRegistry(config);
  // The lock shows that whoever wrote to the embedded database before is no more.
  if (registry.database.dialect === "sqlite") await releaseHolds(registry);
  const access = await openAccessOf(config, registry, log);
  handle = entranceOf(config, { registry, access, log });
  const stopCollecting = collectRegularly(registry, config.collect.intervalSeconds, log);
  warnOfOpenAccess(config, log);
  // Before anyone learns that it listens: who stops it then must not cut it off.
  const shutdown = untilShutdown();
  log.info("listening", { url: server.url });
  const signal = await shutdown;
  log.info("stopping", { signal });
  await Promise.all([stopCollecting(), server.stop(config.http.drainSeconds * 1000)]);
  await registry.database.close();
  lock.release();
  process.exit(0);
}

function listen({ http: { addr } }: Config, handle: Handle) {
  const colon = addr.lastIndexOf(":");
  const host = addr.slice(0, colon).replaceAll(/[[\]]/g, "");
  try {
    return serve({ hostname: host === "" ? "0.0.0.0" : host, port: Number(addr.slice(colon + 1)) }, handle);
  } catch (error) {
    throw new StartError(`http.addr: cannot listen on ${addr}: ${error instanceof Error ? error.message : ""}`);
  }
}

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
  readonly log: Log;
}

function entranceOf({ http, delete: { enabled } }: Config, { registry, access, log }: Parts): Handle {
  const authenticate = authenticator(access);
  return entrance({
    log,
    challenge: challenger({ service: access.service, publicUrl: http.publicUrl }),
    sites: [distribution({ registry, access, authenticate, deletesEnabled: enabled }), tokenSite(access)],
  });
}

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

function warnOfOpenAccess({ access, http }: Config, log: Log): void {
  if (access.mode === "open")
    log.warn("access.mode is open: everyone may push, pull and delete without signing in", { addr: http.addr });
}
