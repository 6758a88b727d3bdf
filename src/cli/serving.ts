import { setTimeout as sleep } from "node:timers/promises";
import type { KeyObject } from "node:crypto";
import { readFile } from "node:fs/promises";
import { ensureFirstAdministrator } from "../access/first-administrator.ts";
import type { GuessesUnderWay } from "../access/guesses-under-way.ts";
import { deriveKey, loadInstanceSecret } from "../access/instance-secret.ts";
import { type Access, openAccess } from "../access/open-access.ts";
import { apiSite } from "../http/api/api-site.ts";
import type { NoteSession } from "../access/sessions/session-note.ts";
import type { Sources } from "../access/sources/sources.ts";
import { auditSessions, auditSignIns, auditTokens, auditVouched } from "../features/audit/audit-sign-ins.ts";
import { type NoteQueue, noteQueue } from "../features/audit/note-queue.ts";
import { switchAudit } from "../features/audit/switch-audit.ts";
import { type UsageCounts, usageCounts } from "../features/usage/usage-counts.ts";
import { auditRefusals } from "../http/audit-refusals.ts";
import { authenticator } from "../http/authenticate.ts";
import { challenger } from "../http/challenge.ts";
import { distribution } from "../http/distribution/distribution.ts";
import { entrance, type Site } from "../http/entrance.ts";
import { noteUsage } from "../http/note-usage.ts";
import type { ReadinessCheck } from "../http/operations/readiness.ts";
import { tokenSite } from "../http/token/token-site.ts";
import { blobStoreProblem } from "../platform/blobs/blob-store-problem.ts";
import type { BlobStore } from "../platform/blobs/blob-store.ts";
import { measuredBlobStore } from "../platform/blobs/measured-blob-store.ts";
import { ConfigError } from "../platform/config/load-config.ts";
import type { Config } from "../platform/config/schema.ts";
import type { Database } from "../platform/database/database.ts";
import { databaseProblem } from "../platform/database/database-problem.ts";
import { measuredDatabase } from "../platform/database/measured-database.ts";
import { createPasswords, type Passwords } from "../platform/passwords/passwords.ts";
import type { Handle } from "../platform/runtime/http.ts";
import type { Log } from "../platform/telemetry/log.ts";
import type { Metrics } from "../platform/telemetry/metrics.ts";
import type { Tracer } from "../platform/telemetry/tracing/tracer.ts";
import { clockWatch } from "../registry/clock-watch.ts";
import type { Registry } from "../registry/registry.ts";
import { browserSites } from "./browser-sites.ts";
import { type OpenPullLimits, openPullLimits } from "./open-pull-limits.ts";
import type { Operation } from "./operation.ts";
import { version } from "./version.ts";
import { type WantedSources, wantedSources } from "./wanted-sources.ts";
import { type WantedVouching, wantedVouching } from "./wanted-vouching.ts";
import { wantedWorkload } from "./wanted-workload.ts";

const tokenSeconds = 300;
/** Argon2id takes 19 MiB and 25 ms of a core each. */
const passwordLimits = { concurrent: 2, waiting: 64 };

/** What answers requests. */
export interface Serving {
  readonly registry: Registry;
  readonly handle: Handle;
  readonly sources: Sources;
  /** Writes what is still in memory of what was noted and counted, as far as it goes in that time. */
  readonly flushNotes: (limitMs: number) => Promise<void>;
}

/** What serves in one process and what several processes have in common. */
export interface Around {
  readonly operation: Operation;
  readonly guesses: GuessesUnderWay;
}

/** Puts the parts together on a registry that is open. @throws ConfigError */
export async function openServing(config: Config, opened: Registry, around: Around): Promise<Serving> {
  const { operation } = around;
  const registry = watched(opened, operation);
  measureRoom(registry.blobs, operation.metrics);
  const { log, metrics } = operation;
  const { sources, browserSources } = wantedSources(config, {
    database: registry.database,
    log,
    metrics,
    now: Date.now,
  });
  const secret = await loadInstanceSecret({ configured: config.secret, dataFolder: config.data });
  const passwords = createPasswords(passwordLimits);
  await switchAudit(registry.database, config.audit.enabled, Date.now());
  const notes = config.audit.enabled ? openNotes(registry.database, operation) : undefined;
  const whole = await openAccessOf(config, registry, { ...around, secret, passwords, sources });
  const access = notes === undefined ? whole : audited(whole, registry.database, notes);
  const vouched = await wantedVouching(config, { callerNamed: access.callerNamed, log, metrics, now: Date.now });
  const usage = config.usage.enabled ? openUsage(registry.database, operation) : undefined;
  const limits = await openPullLimits(config, registry.database, operation);
  return {
    registry,
    handle: entranceOf(config, {
      registry,
      access,
      vouched,
      secret,
      passwords,
      operation,
      notes,
      onSignIn: notes === undefined ? () => undefined : auditSessions(notes),
      limits,
      usage,
      browserSources,
    }),
    sources,
    async flushNotes(limitMs) {
      const uses = access.tokenUses.flush().catch((error: unknown) => log.error("use of tokens not written", error));
      await Promise.race([
        Promise.all([notes?.flush(true), limits?.flush(), usage?.flush(), uses]),
        sleep(limitMs, undefined, { ref: false }),
      ]);
    },
  };
}

function openNotes(database: Database, { log, metrics }: Operation): NoteQueue {
  const notes = noteQueue({ database, log, now: Date.now });
  metrics.total(
    "berth_audit_dropped_total",
    "Sign-ins and refusals that the audit log had no room for.",
    notes.dropped,
  );
  return notes;
}

function openUsage(database: Database, { log, metrics }: Operation): UsageCounts {
  const usage = usageCounts({ database, log });
  metrics.total("berth_usage_dropped_total", "Requests that the usage had no room for.", usage.dropped);
  return usage;
}

function audited(access: Access, database: Database, notes: NoteQueue): Access {
  const verifyPassword = auditSignIns(access.verifyPassword, database, notes);
  return {
    ...access,
    verifyPassword,
    identify: auditTokens(access.identifyBy(verifyPassword), notes),
    callerNamed: auditVouched(access.callerNamed, notes),
  };
}

/** What the server cannot do its work without. */
export const readinessChecks = ({ database, blobs }: Registry): readonly ReadinessCheck[] => [
  { name: "database", problem: () => databaseProblem(database) },
  { name: "store", problem: () => blobStoreProblem(blobs) },
];

/** The registry with its store's actions timed, and a word in the log when somebody sets the clock. */
const watched = (registry: Registry, { log, metrics, tracer }: Operation): Registry => ({
  ...registry,
  database: tracer === undefined ? registry.database : traced(registry.database, tracer),
  clockWatch: clockWatch({ onSet: (ms) => log.warn("clock set", { seconds: Math.round(ms / 1000) }) }),
  blobs: measuredBlobStore(registry.blobs, (action, seconds) => {
    metrics.storageAction("filesystem", action, seconds);
    tracer?.done(`blobs ${action}`, seconds);
  }),
});

const traced = (database: Database, tracer: Tracer): Database => {
  const attributes = { "db.system.name": database.dialect === "sqlite" ? "sqlite" : "postgresql" };
  return measuredDatabase(database, (action, seconds) => tracer.done(`database ${action}`, seconds, attributes));
};

function measureRoom({ room }: BlobStore, metrics: Metrics): void {
  /** A disk that fails leaves the numbers out, and the other numbers in. */
  const look = async (what: "freeBytes" | "reserveBytes"): Promise<number | undefined> => {
    const [left] = await Promise.allSettled([room?.()]);
    return left.status === "fulfilled" ? left.value?.[what] : undefined;
  };
  metrics.gauge("berth_storage_free_bytes", "Free space where the blobs are.", () => look("freeBytes"));
  metrics.gauge("berth_storage_reserve_bytes", "Free space that pushes leave.", () => look("reserveBytes"));
}

/** What accounts are checked with. */
interface Checks {
  readonly secret: KeyObject;
  readonly passwords: Passwords;
}

async function openAccessOf(
  config: Config,
  { database }: Registry,
  { operation: { log, metrics }, guesses, secret, passwords, sources }: Around & Checks & Pick<Serving, "sources">,
): Promise<Access> {
  const now = Date.now;
  const workload = wantedWorkload(config, { database, log, metrics, now });
  const dataFolder = config.data;
  const { idleSeconds, longestSeconds } = config.access.sessions;
  const refused = metrics.counter(
    "berth_access_tokens_refused_total",
    "Personal tokens and those of robots that were no good.",
    ["reason"],
  );
  const access = await openAccess({
    database,
    passwords,
    secret,
    policy: { mode: config.access.mode },
    tokenSettings: { issuer: "berth", service: config.access.service, ttlSeconds: tokenSeconds },
    sessionSettings: { idleMs: idleSeconds * 1000, longestMs: longestSeconds * 1000 },
    guesses,
    sources,
    tokenRefused: (reason) => refused({ reason }),
    workload,
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
  await importWantedAccounts(config, database, log);
  return access;
}

/** What distribution's users have is theirs here from the first start on, but no rights that nobody has given them. */
async function importWantedAccounts({ access: { htpasswdFile } }: Config, database: Database, log: Log): Promise<void> {
  if (htpasswdFile === undefined) return;
  const { importHtpasswd } = await import("../access/htpasswd/import-htpasswd.ts");
  const text = await readFile(htpasswdFile, "utf8").catch(() => {
    throw new ConfigError([`access.htpasswdFile: ${htpasswdFile} cannot be read`]);
  });
  const { created, refused } = await importHtpasswd(database, text, Date.now());
  for (const account of created) log.info("account created", { account, file: htpasswdFile });
  for (const { line, reason } of refused) log.warn("account not created", { file: htpasswdFile, line, reason });
}

interface Parts extends Checks, Pick<WantedSources, "browserSources"> {
  readonly onSignIn: NoteSession;
  /** Absent where nothing is remembered. */
  readonly notes: NoteQueue | undefined;
  readonly limits: OpenPullLimits | undefined;
  readonly usage: UsageCounts | undefined;
  readonly registry: Registry;
  readonly access: Access;
  readonly vouched: WantedVouching | undefined;
  readonly operation: Operation;
}

function entranceOf(config: Config, parts: Parts): Handle {
  const { registry, access, vouched, operation, notes, limits, usage } = parts;
  const { http } = config;
  const deletesEnabled = config.delete.enabled;
  const answered = operation.metrics.counter("berth_token_requests_total", "Requests for bearer tokens.", ["result"]);
  const { log, metrics, site, trustProxies, tracer } = operation;
  return entrance({
    log,
    metrics,
    trustProxies,
    tracer,
    onRefused: notes && auditRefusals(notes),
    onEnded: usage && noteUsage(usage),
    challenge: challenger({ service: access.service, publicUrl: http.publicUrl }),
    sites: [
      ...(vouched?.gate === undefined ? [] : [vouched.gate]),
      distribution({
        registry,
        access,
        authenticate: authenticator(access),
        vouching: vouched?.vouching,
        deletesEnabled,
        limitPulls: limits?.limitPulls,
      }),
      tokenSite(access, (result) => answered({ result })),
      apiSiteOf(config, parts),
      ...browserSites(config, parts),
      site,
    ],
  });
}

const apiSiteOf = (
  { http, data, access: { sources, issuers, tokens: tokenLimits }, delete: { enabled: deletesEnabled } }: Config,
  { registry, access, vouched, secret, passwords, onSignIn }: Parts,
): Site =>
  apiSite({
    vouching: vouched?.vouching,
    sourceSettings: sources ?? [],
    listedIssuers: issuers ?? [],
    ...access,
    access,
    onSignIn,
    registry,
    authorization: access,
    deletesEnabled,
    tokenLimits,
    database: registry.database,
    passwords,
    dataFolder: data,
    now: Date.now,
    answersKey: deriveKey(secret, "idempotent answers"),
    publicUrl: http.publicUrl,
    origins: http.corsOrigins ?? [],
    version,
  });
