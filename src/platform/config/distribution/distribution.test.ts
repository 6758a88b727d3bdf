import { afterEach, beforeEach, describe, expect, it } from "bun:test";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inspectConfig, type ConfigReport } from "../load-config.ts";
import { valueAt } from "../tree.ts";

let folder = "";
let file = "";
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "berth-distribution-"));
  file = join(folder, "config.yml");
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const loopback = "http: {addr: 'localhost:5000'}";
const smallest = `version: 0.1\nstorage: {filesystem: {rootdirectory: /srv/registry}}\n${loopback}\n`;

async function inspectFile(text: string, environment: Readonly<Record<string, string>> = {}): Promise<ConfigReport> {
  await writeFile(file, text);
  return inspectConfig({ file, environment, flags: {} });
}

const inspectVariables = (environment: Readonly<Record<string, string>>): ConfigReport =>
  inspectConfig({ file: undefined, environment, flags: {} });

const setting = ({ config }: ConfigReport, path: string): unknown => valueAt(config, path.split("."));

describe("a file of distribution's", () => {
  it("sets Berth's settings", async () => {
    const report = await inspectFile(`
version: 0.1
log: {level: WARN}
storage:
  filesystem: {rootdirectory: /srv/registry}
  delete: {enabled: true}
  maintenance: {uploadpurging: {enabled: true, age: 36h30m, interval: 24h, dryrun: false}}
http:
  addr: 127.0.0.1:6000
  host: https://registry.example.org
validation: {manifests: {indexes: {platforms: All}}}
`);
    expect(report.problems).toEqual([]);
    expect(report.config).toMatchObject({
      data: "/srv/registry",
      log: { level: "warn" },
      delete: { enabled: true },
      uploads: { idleSeconds: 131_400 },
      http: { addr: "127.0.0.1:6000", publicUrl: "https://registry.example.org" },
      manifests: { sparseIndexes: false },
    });
    expect(report.origins.get("http.publicUrl")).toEqual({ kind: "file", name: `${file}: http.host` });
  });

  it("has distribution's defaults where they are stricter or elsewhere", async () => {
    const report = await inspectFile("version: '0.1'\nstorage: filesystem");
    expect([setting(report, "data"), setting(report, "delete.enabled")]).toEqual(["/var/lib/registry", false]);
    expect(report.origins.get("delete.enabled")).toEqual({ kind: "file", name: `${file}: no storage.delete.enabled` });
  });

  it("is one by its version and its storage, which may be a variable", async () => {
    const onlyVersion = `version: 0.1\n${loopback}\n`;
    expect((await inspectFile(onlyVersion)).problems).toEqual(["version: there is no such setting"]);
    expect((await inspectFile(onlyVersion, { REGISTRY_STORAGE: "filesystem" })).problems).toEqual([]);
    expect((await inspectFile(smallest.replace("0.1", "0.2"))).problems).toEqual([
      "version: there is no such setting",
      "storage: there is no such setting",
    ]);
  });

  it("has the booleans and the anchors of distribution's YAML", async () => {
    const text = smallest.replace("filesystem:", "delete: {enabled: yes}, filesystem:");
    const report = await inspectFile(`${text}log: {level: &word debug, fields: {level: *word}}\n`);
    expect(report.problems).toEqual([]);
    expect([setting(report, "delete.enabled"), setting(report, "log.level")]).toEqual([true, "debug"]);
  });

  it("needs one driver", async () => {
    const none = await inspectFile(`version: 0.1\nstorage: {delete: {enabled: true}}\n${loopback}`);
    expect(none.problems).toEqual(["storage: it names no driver; Berth's is storage.filesystem"]);
    const two = await inspectFile(smallest, { REGISTRY_STORAGE_INMEMORY: "" });
    expect(two.problems.join("\n")).toContain("storage: it names more than one driver: filesystem, inmemory");
  });

  it("names what has no effect in one warning, and not what asks for nothing", async () => {
    const { warnings, problems } = await inspectFile(`${smallest}
redis: {addrs: [localhost:6379], password: canary-of-redis}
health: {storagedriver: {enabled: true}}
log: {hooks: [{disabled: true, type: mail}], fields: {}}
notifications: {endpoints: [{name: a, disabled: true}]}
middleware: {storage: []}
proxy: {remoteurl: ''}
`);
    expect(problems).toEqual([]);
    expect(warnings).toEqual([
      "settings of distribution's that have no effect here: redis, health",
      `access.mode is open, because ${file} has no auth and http.addr is on the loopback`,
    ]);
  });

  it.each([
    ["storage.s3", "storage: {s3: {bucket: b}}"],
    ["storage.inmemory", "storage: inmemory"],
    ["storage.maintenance.readonly", "storage: {filesystem: {}, maintenance: {readonly: {enabled: true}}}"],
    ["auth.token", "auth: {token: {realm: r}}"],
    ["auth.silly", "auth: silly"],
    ["auth.ldap", "auth: ldap"],
    ["tls.acme.email", "http: {addr: 'localhost:1', tls: {letsencrypt: {email: a@example.org}}}"],
    ["tls.acme.challenge", "http: {addr: 'localhost:1', tls: {letsencrypt: {cachefile: /c}}}"],
    ["tls.acme.agreeToTerms", "http: {addr: 'localhost:1', tls: {letsencrypt: {cachefile: /c, hosts: [a.example]}}}"],
    ["http.tls.clientcas", "http: {addr: 'localhost:1', tls: {clientcas: [/c]}}"],
    ["http.tls.minimumtls", "http: {addr: 'localhost:1', tls: {minimumtls: tls1.3}}"],
    ["http.net", "http: {addr: 'localhost:1', net: unix}"],
    ["http.prefix", "http: {addr: 'localhost:1', prefix: /registry/}"],
    ["http.h2c.enabled", "http: {addr: 'localhost:1', h2c: {enabled: true}}"],
    ["proxy.remoteurl", "proxy: {remoteurl: 'https://registry-1.docker.io'}"],
    ["notifications.endpoints", "notifications: {endpoints: [{disabled: true}, {url: 'http://x'}]}"],
    ["middleware.storage", "middleware: {storage: [{name: cloudfront}]}"],
    ["log.hooks", "log: {hooks: [{type: mail}]}"],
    ["validation.manifests.urls.allow", "validation: {manifests: {urls: {allow: ['^https://a/']}}}"],
    ["policy.repository.classes", "policy: {repository: {classes: [image]}}"],
  ])("stops the start with %s", async (key, line) => {
    const [section = ""] = line.split(":", 1);
    const lines = smallest.split("\n").filter((one) => !one.startsWith(`${section}:`));
    const { config, problems } = await inspectFile([...lines, line, ""].join("\n"));
    expect(config).toBeUndefined();
    expect(problems.map((problem) => problem.split(": ", 1)[0])).toContain(key);
  });

  it("says a value that Berth does not take with both names, and without the value", async () => {
    const report = await inspectFile(smallest.replace("addr:", "host: 'https://canary.example/path', addr:"));
    expect(report.problems).toEqual([`http.publicUrl: must be an origin without a path (from ${file}: http.host)`]);
  });
});

const on = (addr: string): string => smallest.replace("localhost:5000", addr);

describe("who may come in", () => {
  it.each(["localhost:5000", "127.0.0.1:5000", "127.8.9.1:5000", "[::1]:5000"])(
    "everyone, without auth on the loopback %s",
    async (addr) => {
      const report = await inspectFile(on(addr));
      expect([report.problems, setting(report, "access.mode")]).toEqual([[], "open"]);
    },
  );

  it.each([
    ":5000",
    "0.0.0.0:5000",
    "[::]:5000",
    "192.0.2.1:5000",
    "127.0.0.1.example.org:5000",
    "localhost.example:1",
  ])("nobody until it is said, without auth on %s", async (addr) => {
    const said = (mode: string) => inspectFile(on(addr), { BERTH_ACCESS_MODE: mode });
    const silent = await inspectFile(on(addr));
    expect(silent.config).toBeUndefined();
    expect(silent.problems.join("\n")).toContain(`access.mode: ${file} has no auth`);
    const modeSaid = await said("open");
    // The host name is no concern of this test: Berth takes any.
    expect(modeSaid.problems.filter((problem) => problem.startsWith("access.mode"))).toEqual([]);
    expect(setting(await said("standard"), "access.mode")).toBe("standard");
  });

  it("goes by the address that counts in the end", async () => {
    expect((await inspectFile(on(":5000"), { BERTH_HTTP_ADDR: "127.0.0.1:0" })).problems).toEqual([]);
    expect((await inspectFile(smallest, { REGISTRY_HTTP_ADDR: ":5000" })).config).toBeUndefined();
    const report = inspectConfig({ file, environment: {}, flags: { "http.addr": "0.0.0.0:0" } });
    expect(report.config).toBeUndefined();
  });

  it("Berth's accounts in the place of an auth, when that is said; open is not", async () => {
    const text = `${smallest}auth: {token: {realm: r}}\n`;
    expect(setting(await inspectFile(text, { BERTH_ACCESS_MODE: "standard" }), "access.mode")).toBe("standard");
    const open = await inspectFile(text, { BERTH_ACCESS_MODE: "open" });
    expect(open.problems.join()).toStartWith("auth.token: ");
  });

  it("the accounts of an htpasswd file, and nobody else", async () => {
    const text = `${smallest}auth: {htpasswd: {realm: r, path: /p}}\n`;
    const report = await inspectFile(text);
    expect([setting(report, "access.mode"), setting(report, "access.htpasswdFile")]).toEqual(["standard", "/p"]);
    const open = await inspectFile(text, { BERTH_ACCESS_MODE: "open" });
    expect(open.problems.join()).toStartWith("access.htpasswdFile: is of no use");
    const none = await inspectFile(`${smallest}auth: {htpasswd: }\n`);
    expect([none.problems, setting(none, "access.mode")]).toEqual([[], "standard"]);
  });

  it("nobody new through variables alone", () => {
    const report = inspectVariables({ REGISTRY_STORAGE_DELETE_ENABLED: "true", REGISTRY_HTTP_ADDR: ":5000" });
    expect([report.problems, setting(report, "access.mode")]).toEqual([[], "standard"]);
    const guarded = inspectVariables({ REGISTRY_AUTH: "htpasswd", REGISTRY_AUTH_HTPASSWD_PATH: "/p" });
    expect([guarded.problems, setting(guarded, "access.htpasswdFile")]).toEqual([[], "/p"]);
  });

  it("an auth that a variable takes away is away, as in distribution", async () => {
    const text = `${smallest}auth: {htpasswd: {realm: r, path: /p}}\n`;
    expect(setting(await inspectFile(text, { REGISTRY_AUTH: "" }), "access.mode")).toBe("open");
  });
});

describe("REGISTRY_ variables", () => {
  it("count more than a file, of distribution's or of Berth's", async () => {
    const variables = { REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY: "/elsewhere", REGISTRY_LOGLEVEL: "Error" };
    const theirs = await inspectFile(smallest, variables);
    const ours = await inspectFile("data: /srv/berth\nlog: {level: debug}\n", variables);
    for (const report of [theirs, ours])
      expect([setting(report, "data"), setting(report, "log.level")]).toEqual(["/elsewhere", "error"]);
    expect(ours.origins.get("data")).toEqual({
      kind: "environment",
      name: "REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY",
    });
  });

  it("count less than BERTH_ variables, with a warning, and less than flags", () => {
    const environment = { REGISTRY_HTTP_ADDR: "127.0.0.1:1", BERTH_HTTP_ADDR: "127.0.0.1:2" };
    const report = inspectVariables(environment);
    expect(setting(report, "http.addr")).toBe("127.0.0.1:2");
    expect(report.warnings).toEqual(["REGISTRY_HTTP_ADDR is overruled by BERTH_HTTP_ADDR"]);
    const flagged = inspectConfig({ file: undefined, environment, flags: { "http.addr": "127.0.0.1:3" } });
    expect(setting(flagged, "http.addr")).toBe("127.0.0.1:3");
    expect(flagged.origins.get("http.addr")).toEqual({ kind: "flag", name: "--addr" });
  });

  it("are read as YAML, and as they stand where they are none", () => {
    expect(setting(inspectVariables({ REGISTRY_STORAGE_DELETE_ENABLED: "no" }), "delete.enabled")).toBe(false);
    expect(setting(inspectVariables({ REGISTRY_HTTP_ADDR: "[::]:5000" }), "http.addr")).toBe("[::]:5000");
    expect(setting(inspectVariables({ REGISTRY_HTTP: "{addr: ':7', host: 'http://a'}" }), "http.addr")).toBe(":7");
  });

  it("stop the start by their own name", () => {
    expect(inspectVariables({ REGISTRY_HTTP_PREFIX: "/a/" }).problems.join()).toStartWith("REGISTRY_HTTP_PREFIX: ");
    expect(inspectVariables({ REGISTRY_PROXY_REMOTEURL: "" }).problems).toEqual([]);
    expect(inspectVariables({ REGISTRY_STORAGE_AZURE_MAX_RETRIES: "3" }).problems.join()).toStartWith(
      "REGISTRY_STORAGE_AZURE_MAX_RETRIES: Berth keeps blobs in a folder",
    );
    expect(inspectVariables({ REGISTRY_STORAGE_FTP_HOST: "x" }).problems).toEqual([
      "REGISTRY_STORAGE_FTP_HOST: there is no such setting in distribution's configuration",
    ]);
  });

  it("change an entry of a list in the file", async () => {
    const text = `${smallest}notifications: {endpoints: [{name: a, url: 'http://x'}]}\n`;
    expect((await inspectFile(text)).config).toBeUndefined();
    expect((await inspectFile(text, { REGISTRY_NOTIFICATIONS_ENDPOINTS_0_DISABLED: "true" })).problems).toEqual([]);
  });

  it("are known by the names that distribution has for them there", () => {
    const { warnings, problems } = inspectVariables({
      REGISTRY_NOTIFICATIONS_EVENTCONFIG_INCLUDEREFERENCES: "true",
      REGISTRY_HEALTH_HTTPCHECKERS_0_URI: "http://x",
      REGISTRY_REDIS_OPTIONS_PASSWORD: "canary-of-redis",
    });
    expect([problems, warnings]).toEqual([
      [],
      [
        "settings of distribution's that have no effect here: REGISTRY_HEALTH_HTTPCHECKERS_0_URI, " +
          "REGISTRY_NOTIFICATIONS_EVENTCONFIG_INCLUDEREFERENCES, REGISTRY_REDIS_OPTIONS_PASSWORD",
      ],
    ]);
  });

  it("that distribution does not know are ignored with a warning, and those of others without", () => {
    const { warnings, problems } = inspectVariables({
      REGISTRY_DUCKS: "quack",
      REGISTRY_PORT: "tcp://10.0.0.1:5000",
      REGISTRY_SERVICE_HOST: "10.0.0.1",
      REGISTRY_PORT_5000_TCP_ADDR: "10.0.0.1",
      REGISTRY_CONFIGURATION_PATH: "/etc/docker/registry/config.yml",
      REGISTRY_AUTH_FILE: "/run/containers/auth.json",
    });
    expect([problems, warnings]).toEqual([[], ["not settings of distribution's, and ignored: REGISTRY_DUCKS"]]);
  });
});
