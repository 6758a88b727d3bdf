import {
  durationToSeconds,
  platformsToSparse,
  toLowerCase,
  whenEveryIsDisabled,
  whenFalse,
  whenItAllowsAll,
  whenOneOf,
} from "./conversions.ts";
import type { Fate, Row } from "./row.ts";

const noEffect = (because: string): Fate => ({ kind: "no-effect", because });
const stops = (instead: string, more: Partial<Fate & { readonly kind: "stops" }> = {}): Fate => ({
  kind: "stops",
  instead,
  ...more,
});

const otherStore = stops("Berth keeps blobs in a folder: use storage.filesystem.rootdirectory", { evenEmpty: true });
const otherAccounts = (what: string): Fate =>
  stops(
    `${what}; Berth has accounts and tokens of its own: set BERTH_ACCESS_MODE=standard to use them in its place, ` +
      "and sign in as admin with the password of BERTH_ADMIN_PASSWORD",
    { evenEmpty: true, yieldsTo: { path: "access.mode", value: "standard" } },
  );
const middleware = stops("Berth takes no middleware: remove it", { unless: whenEveryIsDisabled });
const ofTheProxy = noEffect("belongs to `proxy.remoteurl`");

/**
 * Every key of distribution's configuration, versions 2 and 3. A key stops the start where going on would open what the
 * operator closed, or leave out what others rely on; a key that tunes distribution's own works has no effect.
 */
export const distributionTable: readonly Row[] = [
  { key: "version", fate: noEffect("tells whose file it is") },
  {
    key: "loglevel",
    fate: { kind: "maps", to: "log.level", convert: toLowerCase, note: "`log.level` counts more" },
  },
  { key: "log.level", fate: { kind: "maps", to: "log.level", convert: toLowerCase } },
  { key: "log.formatter", fate: noEffect("the log is JSON, an object a line") },
  { key: "log.fields", fate: noEffect("the log collector can add them") },
  { key: "log.accesslog", fate: noEffect("every request has a line in the log") },
  { key: "log.reportcaller", fate: noEffect("an error is logged with its stack") },
  {
    key: "log.hooks",
    fate: stops("Berth sends no mail: watch its log and remove the hook", { unless: whenEveryIsDisabled }),
  },

  {
    key: "storage.filesystem.rootdirectory",
    fate: { kind: "maps", to: "data", whenAbsent: "/var/lib/registry" },
  },
  { key: "storage.filesystem.maxthreads", fate: noEffect("nothing has to be tuned") },
  {
    key: "storage.inmemory",
    fate: stops(
      "Berth keeps what it is given: use storage.filesystem.rootdirectory, on a memory file system if it may go",
      {
        evenEmpty: true,
      },
    ),
  },
  { key: "storage.s3", fate: otherStore },
  { key: "storage.s3aws", fate: otherStore },
  { key: "storage.azure", fate: otherStore },
  { key: "storage.gcs", fate: otherStore },
  { key: "storage.swift", fate: otherStore },
  { key: "storage.oss", fate: otherStore },
  { key: "storage.delete.enabled", fate: { kind: "maps", to: "delete.enabled", whenAbsent: false } },
  { key: "storage.tag", fate: noEffect("tags are found by an index") },
  { key: "storage.redirect", fate: noEffect("blobs of a folder are never redirected") },
  { key: "storage.cache", fate: noEffect("there is nothing to cache: what was in a cache is in the database") },
  {
    key: "storage.maintenance.uploadpurging.age",
    fate: {
      kind: "maps",
      to: "uploads.idleSeconds",
      convert: durationToSeconds,
      note: "counted from the last activity, 30 days at most",
    },
  },
  {
    key: "storage.maintenance.uploadpurging.enabled",
    fate: noEffect("an upload always ends, `uploads.idleSeconds` after its last activity"),
  },
  { key: "storage.maintenance.uploadpurging.interval", fate: noEffect("see `collect.intervalSeconds`") },
  { key: "storage.maintenance.uploadpurging.dryrun", fate: noEffect("`berth uploads list` shows open uploads") },
  {
    key: "storage.maintenance.readonly",
    fate: stops("Berth collects garbage while it is written to and has no read-only time: remove it", {
      unless: {
        text: "`enabled: false`",
        holds: (value) => typeof value === "object" && value !== null && "enabled" in value && value.enabled === false,
      },
    }),
  },

  {
    key: "auth.htpasswd.path",
    fate: {
      kind: "maps",
      to: "access.htpasswdFile",
      note: "accounts are made of its names, with their passwords, and have only the rights that they are given here",
    },
  },
  { key: "auth.htpasswd.realm", fate: noEffect("`access.service` is this registry's name") },
  { key: "auth.token", fate: otherAccounts("tokens of another server are not accepted") },
  { key: "auth.silly", fate: otherAccounts("it lets in everyone who says anything") },

  { key: "middleware.registry", fate: middleware },
  { key: "middleware.repository", fate: middleware },
  { key: "middleware.storage", fate: middleware },

  { key: "http.addr", fate: { kind: "maps", to: "http.addr" } },
  {
    key: "http.net",
    fate: stops("Berth listens on TCP: remove it, and give http.addr a host and a port", { unless: whenOneOf("tcp") }),
  },
  { key: "http.host", fate: { kind: "maps", to: "http.publicUrl" } },
  {
    key: "http.prefix",
    fate: stops("Berth answers at /v2/ only: let the proxy in front of it take the prefix away, and remove it here", {
      unless: whenOneOf("/"),
    }),
  },
  { key: "http.secret", fate: noEffect("the state of an upload stays in the database") },
  { key: "http.relativeurls", fate: noEffect("a `Location` is always relative") },
  { key: "http.draintimeout", fate: { kind: "maps", to: "shutdown.drainSeconds", convert: durationToSeconds } },
  { key: "http.tls.certificate", fate: { kind: "maps", to: "tls.certFile" } },
  { key: "http.tls.key", fate: { kind: "maps", to: "tls.keyFile" } },
  {
    key: "http.tls.letsencrypt.cachefile",
    fate: {
      kind: "maps",
      to: "tls.acme.challenge",
      convert: () => "tls-alpn-01",
      note: "as distribution does it; what is fetched is kept in the data folder. `tls.acme.agreeToTerms` has to be said",
    },
  },
  { key: "http.tls.letsencrypt.email", fate: { kind: "maps", to: "tls.acme.email" } },
  { key: "http.tls.letsencrypt.hosts", fate: { kind: "maps", to: "tls.acme.hosts" } },
  {
    key: "http.tls.letsencrypt.directoryurl",
    fate: { kind: "maps", to: "tls.acme.directoryUrl" },
  },
  {
    key: "http.tls.clientcas",
    fate: stops("use access.clientCertificates.caFile, with required: true, and remove it here"),
  },
  { key: "http.tls.clientauth", fate: noEffect("belongs to `http.tls.clientcas`") },
  {
    key: "http.tls.minimumtls",
    fate: stops("let a proxy in front of Berth choose the versions of TLS, and remove it here", {
      unless: whenOneOf("tls1.0", "tls1.1", "tls1.2"),
    }),
  },
  {
    key: "http.tls.ciphersuites",
    fate: stops("let a proxy in front of Berth choose the cipher suites, and remove it here"),
  },
  { key: "http.headers", fate: noEffect("Berth sends `X-Content-Type-Options: nosniff`; a proxy can add others") },
  { key: "http.debug", fate: noEffect("there is one address, and no profiling on it") },
  { key: "http.http2", fate: noEffect("clients speak HTTP/2 with TLS and HTTP/1.1 without, as they like") },
  {
    key: "http.h2c.enabled",
    fate: stops("Berth speaks HTTP/1.1 where there is no TLS: tell the proxy so and remove it", { unless: whenFalse }),
  },

  { key: "notifications.events", fate: noEffect("belongs to `notifications.endpoints`") },
  {
    key: "notifications.endpoints",
    fate: stops("Berth does not send notifications yet: remove it", { unless: whenEveryIsDisabled }),
  },
  { key: "redis", fate: noEffect("there is no other server to run") },
  { key: "health", fate: noEffect("Berth watches its own store") },
  { key: "catalog", fate: noEffect("`n` may be 1000 at most") },
  { key: "tags", fate: noEffect("`n` counts up to 1000") },
  {
    key: "proxy.remoteurl",
    fate: stops("Berth is no pull-through cache yet: let a registry of distribution go on as one"),
  },
  { key: "proxy.username", fate: ofTheProxy },
  { key: "proxy.password", fate: ofTheProxy },
  { key: "proxy.exec", fate: ofTheProxy },
  { key: "proxy.ttl", fate: ofTheProxy },
  { key: "proxy.cachewritetimeout", fate: ofTheProxy },

  { key: "validation.enabled", fate: noEffect("manifests are always checked") },
  { key: "validation.disabled", fate: noEffect("manifests are always checked") },
  {
    key: "validation.manifests.urls.allow",
    fate: stops("Berth does not restrict the URLs in manifests: remove it", { unless: whenItAllowsAll }),
  },
  { key: "validation.manifests.urls.deny", fate: stops("Berth does not restrict the URLs in manifests: remove it") },
  {
    key: "validation.manifests.indexes.platforms",
    fate: {
      kind: "maps",
      to: "manifests.sparseIndexes",
      convert: platformsToSparse,
      note: "`none` is `true`, `all` is `false`; `list` is refused",
    },
  },
  { key: "validation.manifests.indexes.platformlist", fate: noEffect("belongs to `platforms: list`") },
  {
    key: "policy.repository.classes",
    fate: stops("Berth does not restrict what kind of content is pushed: remove it"),
  },
  { key: "compatibility", fate: noEffect("manifests of schema 1 are refused") },
  { key: "reporting", fate: noEffect("errors are in the log") },
];

/** Names in a variable that are not the key in the file. */
export const variableAliases: Readonly<Record<string, string>> = {
  "notifications.eventconfig": "notifications.events",
  "health.filecheckers": "health.file",
  "health.httpcheckers": "health.http",
  "health.tcpcheckers": "health.tcp",
};
