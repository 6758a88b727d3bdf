import { describe, expect, it } from "bun:test";
import { loadConfig } from "../load-config.ts";
import { settingPaths } from "../setting-paths.ts";
import { distributionTable } from "./table.ts";
import { translate } from "./translate.ts";

/** Every key that distribution's parser and drivers read, of 2.8.3 and 3.1.1; a star is a name of the operator's. */
const keysOfDistribution = `
version loglevel
log.accesslog.disabled log.level log.formatter log.fields.* log.reportcaller log.hooks.0.disabled log.hooks.0.type
log.hooks.0.levels log.hooks.0.options.smtp.addr log.hooks.0.options.smtp.username log.hooks.0.options.smtp.password
log.hooks.0.options.smtp.insecure log.hooks.0.options.from log.hooks.0.options.to
storage.filesystem.rootdirectory storage.filesystem.maxthreads storage.inmemory
storage.s3.accesskey storage.s3.secretkey storage.s3.region storage.s3.regionendpoint storage.s3.forcepathstyle
storage.s3.accelerate storage.s3.bucket storage.s3.encrypt storage.s3.keyid storage.s3.secure storage.s3.skipverify
storage.s3.v4auth storage.s3.chunksize storage.s3.multipartcopychunksize storage.s3.multipartcopymaxconcurrency
storage.s3.multipartcopythresholdsize storage.s3.rootdirectory storage.s3.storageclass storage.s3.objectacl
storage.s3.useragent storage.s3.usedualstack storage.s3.usefipsendpoint storage.s3.redirectendpoint storage.s3.loglevel
storage.s3aws.bucket
storage.azure.accountname storage.azure.accountkey storage.azure.connectionstring storage.azure.container
storage.azure.realm storage.azure.rootdirectory storage.azure.serviceurl storage.azure.credentials.type
storage.azure.credentials.clientid storage.azure.credentials.tenantid storage.azure.credentials.secret
storage.azure.max_retries storage.azure.retry_delay storage.azure.skipverify
storage.gcs.bucket storage.gcs.keyfile storage.gcs.credentials.type storage.gcs.rootdirectory storage.gcs.chunksize
storage.gcs.maxconcurrency storage.gcs.useragent
storage.swift.username storage.swift.password storage.swift.authurl storage.swift.container storage.swift.prefix
storage.oss.accesskeyid storage.oss.accesskeysecret storage.oss.bucket storage.oss.region storage.oss.endpoint
storage.tag.concurrencylimit storage.delete.enabled storage.redirect.disable
storage.cache.blobdescriptor storage.cache.layerinfo storage.cache.blobdescriptorsize
storage.maintenance.uploadpurging.enabled storage.maintenance.uploadpurging.age
storage.maintenance.uploadpurging.interval storage.maintenance.uploadpurging.dryrun storage.maintenance.readonly.enabled
auth.silly.realm auth.silly.service auth.htpasswd.realm auth.htpasswd.path
auth.token.realm auth.token.service auth.token.issuer auth.token.rootcertbundle auth.token.autoredirect
auth.token.autoredirectpath auth.token.jwks auth.token.signingalgorithms
middleware.registry.0.name middleware.repository.0.name middleware.storage.0.name middleware.storage.0.disabled
middleware.storage.0.options.*
http.addr http.net http.host http.prefix http.secret http.relativeurls http.draintimeout
http.tls.certificate http.tls.key http.tls.clientcas http.tls.clientauth http.tls.minimumtls http.tls.ciphersuites
http.tls.letsencrypt.cachefile http.tls.letsencrypt.email http.tls.letsencrypt.hosts
http.tls.letsencrypt.directoryurl http.headers.* http.debug.addr http.debug.prometheus.enabled
http.debug.prometheus.path http.http2.disabled http.h2c.enabled
notifications.events.includereferences notifications.endpoints.0.name notifications.endpoints.0.disabled
notifications.endpoints.0.url notifications.endpoints.0.headers.* notifications.endpoints.0.timeout
notifications.endpoints.0.threshold notifications.endpoints.0.backoff notifications.endpoints.0.ignoredmediatypes
notifications.endpoints.0.ignore.mediatypes notifications.endpoints.0.ignore.actions
redis.addr redis.addrs redis.clientname redis.db redis.protocol redis.username redis.password redis.sentinelusername
redis.sentinelpassword redis.maxretries redis.minretrybackoff redis.maxretrybackoff redis.dialtimeout redis.readtimeout
redis.writetimeout redis.contexttimeoutenabled redis.poolfifo redis.poolsize redis.pooltimeout redis.minidleconns
redis.maxidleconns redis.maxactiveconns redis.connmaxidletime redis.connmaxlifetime redis.maxredirects redis.readonly
redis.routebylatency redis.routerandomly redis.mastername redis.disableidentity redis.identitysuffix
redis.unstableresp3 redis.tls.certificate redis.tls.key redis.tls.rootcas redis.tls.enabled redis.pool.maxidle
redis.pool.maxactive redis.pool.idletimeout
health.file.0.file health.file.0.interval health.file.0.threshold health.http.0.uri health.http.0.headers.*
health.http.0.statuscode health.http.0.timeout health.http.0.interval health.http.0.threshold health.tcp.0.addr
health.tcp.0.timeout health.tcp.0.interval health.tcp.0.threshold health.storagedriver.enabled
health.storagedriver.interval health.storagedriver.threshold
catalog.maxentries tags.maxtags
proxy.remoteurl proxy.username proxy.password proxy.exec.command proxy.exec.lifetime proxy.ttl proxy.cachewritetimeout
validation.enabled validation.disabled validation.manifests.urls.allow validation.manifests.urls.deny
validation.manifests.indexes.platforms validation.manifests.indexes.platformlist
policy.repository.classes
compatibility.schema1.signingkeyfile compatibility.schema1.enabled
reporting.bugsnag.apikey reporting.bugsnag.releasestage reporting.bugsnag.endpoint reporting.newrelic.licensekey
reporting.newrelic.name reporting.newrelic.verbose
`
  .trim()
  .split(/\s+/)
  .map((key) => key.replace("*", "x-name"));

const translateFile = (file: Record<string, unknown>) => translate({ file, variables: [], own: () => undefined });

const nested = (key: string, value: unknown): Record<string, unknown> => {
  const [first = "", ...rest] = key.split(".");
  return { [first]: rest.length === 0 ? value : nested(rest.join("."), value) };
};

const isMet = (row: string): boolean => keysOfDistribution.some((key) => key === row || key.startsWith(`${row}.`));

describe("the table", () => {
  it.each(keysOfDistribution)("knows %s", (key) => {
    const { problems } = translateFile(nested(key, "something"));
    expect(problems.filter((problem) => problem.includes("there is no such setting"))).toEqual([]);
  });

  it("does not know what distribution does not know", () => {
    for (const key of ["http.adr", "http.tls.cert", "storage.ftp", "auth.ldap", "htp", "log"])
      expect(translateFile(nested(key, "something")).problems.join()).toContain(
        `${key}: there is no such setting in distribution's configuration`,
      );
  });

  it("has no row that no key of distribution's meets, and none twice", () => {
    const rows = distributionTable.map(({ key }) => key);
    expect(rows.filter((row) => !isMet(row))).toEqual([]);
    expect(new Set(rows).size).toBe(rows.length);
    expect(rows.filter((row) => rows.some((other) => other.startsWith(`${row}.`)))).toEqual([]);
  });

  it("leads to settings that Berth has", () => {
    const targets = distributionTable.flatMap(({ fate }) => (fate.kind === "maps" ? [fate.to] : []));
    expect(targets.filter((path) => !settingPaths.includes(path))).toEqual([]);
    expect(targets.length).toBeGreaterThan(5);
  });

  it("tells what to do with words that Berth knows", () => {
    const told = distributionTable.flatMap(({ fate }) => (fate.kind === "stops" ? [fate.instead] : []));
    const variables = told.flatMap((text) => text.match(/BERTH_[A-Z_]+/g) ?? []);
    expect(variables).not.toEqual([]);
    for (const name of new Set(variables)) {
      const environment = { [name]: "standard" };
      expect(() => loadConfig({ file: undefined, environment, flags: {} })).not.toThrow();
    }
  });
});
