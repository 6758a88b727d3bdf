import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ConfigError, type ConfigSources, loadConfig } from "./load-config.ts";

let folder = "";
let files = 0;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "berth-config-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function fileOf(yaml: string): Promise<string> {
  const file = join(folder, `berth-${files++}.yaml`);
  await writeFile(file, yaml);
  return file;
}
const load = (sources: Partial<ConfigSources>) =>
  loadConfig({ file: undefined, environment: {}, flags: {}, ...sources });
function problemsOf(sources: Partial<ConfigSources>): readonly string[] {
  try {
    load(sources);
    return [];
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
}

describe("a setting comes from", () => {
  test("the flag before the environment, before the file, before the default", async () => {
    const file = await fileOf('http: { addr: "127.0.0.1:3" }\nlog: { level: warn }\ndata: /file');
    const environment = { BERTH_HTTP_ADDR: "127.0.0.1:2", BERTH_LOG_LEVEL: "error" };
    const flags = { "http.addr": "127.0.0.1:1" };
    expect(load({}).http.addr).toBe("127.0.0.1:5000");
    expect(load({ file }).http.addr).toBe("127.0.0.1:3");
    expect(load({ file, environment }).http.addr).toBe("127.0.0.1:2");
    const { http, log, data, access } = load({ file, environment, flags });
    expect([http.addr, log.level, data, access.mode]).toEqual(["127.0.0.1:1", "error", "/file", "standard"]);
  });

  test("the next where one does not say", async () => {
    const file = await fileOf("data: /file");
    const { data } = load({ file, environment: { BERTH_DATA: undefined }, flags: { data: undefined } });
    expect(data).toBe("/file");
  });

  test("the environment by its path in capitals, each word apart", () => {
    const environment = {
      BERTH_HTTP_PUBLIC_URL: "https://registry.example.com",
      BERTH_UPLOADS_MAX_SESSIONS_PER_PRINCIPAL: "7",
      BERTH_MANIFESTS_SPARSE_INDEXES: "false",
      BERTH_DELETE_ENABLED: "true",
    };
    const { http, uploads, manifests, delete: deletes } = load({ environment });
    expect([http.publicUrl, uploads.maxSessionsPerPrincipal, manifests.sparseIndexes, deletes.enabled]).toEqual([
      "https://registry.example.com",
      7,
      false,
      true,
    ]);
  });

  test("an empty file as from none", async () => {
    expect(load({ file: await fileOf("") })).toEqual(load({}));
    expect(load({ file: await fileOf("# nothing\n") })).toEqual(load({}));
  });
});

describe("the configuration", () => {
  test("cannot be changed, however deep", () => {
    const config = load({});
    const writable: { data: string; uploads: { maxSessions: number } } = config;
    expect(() => (writable.data = "/elsewhere")).toThrow(TypeError);
    expect(() => (writable.uploads.maxSessions = 1)).toThrow(TypeError);
    const allFrozen = (value: unknown): boolean =>
      typeof value !== "object" || value === null || (Object.isFrozen(value) && Object.values(value).every(allFrozen));
    expect(allFrozen(config)).toBe(true);
  });

  test("of one start does not show in the next", async () => {
    const file = await fileOf("uploads: { maxSessions: 3 }");
    expect(load({ file }).uploads.maxSessions).toBe(3);
    expect(load({}).uploads.maxSessions).toBe(10_000);
  });
});

describe("what is wrong stops the start:", () => {
  test("all of it is told, each with its path", async () => {
    const file = await fileOf("http: { addr: 'a:99999' }\nuploads: { maxSessions: 0, idleSeconds: soon }\nsurplus: 1");
    const environment = { BERTH_LOG_LEVEL: "loud", BERTH_UNHEARD_OF: "1" };
    const problems = problemsOf({ file, environment, flags: { data: "" } });
    const paths = problems.map((problem) => problem.slice(0, problem.indexOf(":")));
    expect(paths.toSorted()).toEqual(
      [
        "BERTH_UNHEARD_OF",
        "data",
        "http.addr",
        "log.level",
        "surplus",
        "uploads.idleSeconds",
        "uploads.maxSessions",
      ].toSorted(),
    );
  });

  test("keys that nobody knows, at any depth", async () => {
    const file = await fileOf(
      'surplus: 1\nhttp: { Addr: "127.0.0.1:1", adr: x }\n__proto__: { data: /x }\ntoString: 1',
    );
    expect(problemsOf({ file }).toSorted()).toEqual(
      ["__proto__", "http.Addr", "http.adr", "surplus", "toString"].map((path) => `${path}: there is no such setting`),
    );
    expect(problemsOf({ file: await fileOf("constructor: { prototype: { data: /x } }") })).toEqual([
      "constructor: there is no such setting",
    ]);
    expect(({} as Readonly<Record<string, unknown>>)["data"]).toBeUndefined();
  });

  test("variables of ours that name nothing, and no other's", () => {
    const environment = {
      BERTH_HTTP_ADRESS: "x",
      BERTH_: "x",
      BERTH_HTTP: "x",
      BERTH_ADMIN_PASSWORD: "x",
      BERTH_CONFIG: "x",
      BERTH_TEST_POSTGRES_URL: "x",
      HTTP_ADDR: "x",
      BERTHA: "x",
      berth_data: "x",
    };
    expect(problemsOf({ environment })).toEqual(
      ["BERTH_HTTP_ADRESS", "BERTH_", "BERTH_HTTP"].map((name) => `${name}: there is no such setting`),
    );
  });

  test.each(["", " 5", "5 ", "-5", "5.5", "1e3", "0x10", "five", "99999999999999999999", "Infinity"])(
    "%j for a whole number",
    (text) => {
      const [problem = ""] = problemsOf({ environment: { BERTH_UPLOADS_MAX_SESSIONS: text } });
      expect(problem).toStartWith("uploads.maxSessions: ");
    },
  );

  test.each(["", "yes", "no", "1", "0", "TRUE", "on"])("%j for true or false", (text) => {
    const [problem = ""] = problemsOf({ environment: { BERTH_DELETE_ENABLED: text } });
    expect(problem).toStartWith("delete.enabled: ");
  });

  test.each([
    "localhost",
    ":",
    ":x",
    "127.0.0.1:",
    "127.0.0.1:65536",
    "::1:5000",
    "[::1]",
    "host:1:2",
    "a b:1",
    "http://a:1",
  ])("%j for an address", (text) => {
    expect(problemsOf({ flags: { "http.addr": text } })[0]).toStartWith("http.addr: ");
  });

  test.each([":5000", "0.0.0.0:0", "[::1]:5000", "localhost:65535"])("but not the address %j", (text) => {
    expect(load({ flags: { "http.addr": text } }).http.addr).toBe(text);
  });

  test.each(["ftp://a", "https://a/path", "a", "", "https://"])("%j for the public address", (text) => {
    expect(problemsOf({ environment: { BERTH_HTTP_PUBLIC_URL: text } })[0]).toStartWith("http.publicUrl: ");
  });

  test("a file that is missing, no mapping, no YAML, or has aliases or the same key twice", async () => {
    expect(problemsOf({ file: join(folder, "absent.yaml") })[0]).toContain("absent.yaml: cannot be read");
    for (const text of ["- a\n- b", "just text", "a: [", "data: /a\ndata: /b", "a: &x 1\nb: *x"]) {
      const file = await fileOf(text);
      const problems = problemsOf({ file });
      expect(problems.length).toBeGreaterThan(0);
      expect(problems[0]).toStartWith(file);
    }
  });

  test("the value of a wrong setting is not repeated where it may be a secret", async () => {
    const file = await fileOf("secret: [hunter2]\ndatabase: { url: 'mysql://u:hunter2@db' }\nhttp: { hunter2");
    expect(problemsOf({ file }).join("\n")).not.toContain("u:hunter2@db");
    const valid = await fileOf("secret: [hunter2]\ndatabase: { url: 'mysql://u:hunter2@db' }");
    const problems = problemsOf({ file: valid });
    expect(problems.map((problem) => problem.slice(0, problem.indexOf(":")))).toEqual(["secret", "database.url"]);
    expect(problems.join("\n")).not.toContain("hunter2");
  });
});
