import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { resolve } from "node:path";
import { basic } from "../protocol/registry-client.ts";
import { requirement } from "../support/requirement.ts";
import { startServer, type TestServer } from "../support/server.ts";
import { baseDn, missingSlapd, person, readerDn, readerPassword, type Slapd, startSlapd } from "./slapd.ts";

setDefaultTimeout(120_000);

const berth = resolve(import.meta.dir, "../../bin/berth");
const right = "canary-of-a-password-in-a-directory";
const local = "correct-horse-battery-staple";

const sourcesOf = (slapd: Slapd, more: Readonly<Record<string, unknown>> = {}): string =>
  JSON.stringify([
    {
      name: "corp",
      kind: "ldap",
      urls: [slapd.ldapUrl],
      bindDn: readerDn,
      bindPassword: readerPassword,
      caFile: slapd.caFile,
      user: { baseDn: `ou=people,${baseDn}`, filter: "(objectClass=inetOrgPerson)" },
      ...more,
    },
  ]);

const ping = (server: TestServer, name: string, password: string): Promise<Response> =>
  fetch(`${server.url}/v2/`, { headers: { authorization: basic(name, password) } });
const statusOf = async (server: TestServer, name: string, password: string): Promise<number> =>
  (await ping(server, name, password)).status;

async function cli(args: readonly string[], env: Readonly<Record<string, string>>, input = "") {
  const child = Bun.spawn([berth, ...args], {
    env: { ...process.env, ...env },
    stdin: Buffer.from(input),
    stdout: "pipe",
    stderr: "pipe",
  });
  const [out, error] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
  return { code: await child.exited, out, error };
}

requirement("a server with a directory", missingSlapd, () => {
  let slapd: Slapd;
  let server: TestServer;
  let env: Readonly<Record<string, string>>;
  beforeAll(async () => {
    slapd = await startSlapd({ entries: ["ann", "bob", "cleo"].map((name) => person(name, right)).join("") });
    env = { BERTH_ACCESS_SOURCES: sourcesOf(slapd, { cacheSeconds: 0 }), BERTH_LOG_LEVEL: "debug" };
    server = await startServer({ env });
  });
  afterAll(async () => {
    await server[Symbol.asyncDispose]();
    await slapd[Symbol.asyncDispose]();
  });

  test("lets its people in by Basic and by token, from their first sign-in on", async () => {
    expect(await statusOf(server, "ann", right)).toBe(200);
    const answer = await fetch(`${server.url}/token?service=berth`, {
      headers: { authorization: basic("ann", right) },
    });
    const { token } = (await answer.json()) as { readonly token: string };
    const bearer = await fetch(`${server.url}/v2/`, { headers: { authorization: `Bearer ${token}` } });
    expect(bearer.status).toBe(200);
    await server.logged();
    const created = server.log().filter(({ event }) => event === "account created");
    expect(created).toContainEqual(expect.objectContaining({ account: "ann", source: "corp" }));
  });

  test("answers a wrong password, nobody and a disabled name alike", async () => {
    for (const path of ["/v2/", "/token?service=berth"]) {
      const answers = await Promise.all(
        ["ann", "nobody", "admin", "*)(uid=*", "jörg\0"].map(async (name) => {
          const answer = await fetch(`${server.url}${path}`, { headers: { authorization: basic(name, "wrong") } });
          const headers = [...answer.headers].filter(([header]) => header !== "date" && header !== "x-request-id");
          return { status: answer.status, headers, body: await answer.text() };
        }),
      );
      expect(answers[0]?.status).toBe(401);
      for (const answer of answers) expect(answer).toEqual(answers[0] ?? answer);
    }
  });

  test("counts what the directory says, and logs no password at any level", async () => {
    await statusOf(server, "ann", `${right}-but-wrong`);
    const metrics = await (await fetch(`${server.url}/metrics`)).text();
    expect(metrics).toMatch(/berth_source_answers_total\{source="corp",outcome="identity"\} [1-9]/);
    expect(metrics).toMatch(/berth_source_answers_total\{source="corp",outcome="wrong"\} [1-9]/);
    await server.logged();
    const log = JSON.stringify(server.log());
    for (const secret of [right, readerPassword]) expect(log).not.toContain(secret);
  });

  test("whoever has gone from the directory is out with the next look at it", async () => {
    expect(await statusOf(server, "cleo", right)).toBe(200);
    const form = {
      grant_type: "password",
      service: "berth",
      username: "cleo",
      password: right,
      access_type: "offline",
    };
    const answer = await fetch(`${server.url}/token`, { method: "POST", body: new URLSearchParams(form) });
    const { access_token: token, refresh_token: refresh } = (await answer.json()) as Readonly<Record<string, string>>;
    const usesToken = async (): Promise<number> =>
      (await fetch(`${server.url}/v2/`, { headers: { authorization: `Bearer ${token ?? ""}` } })).status;
    expect(await usesToken()).toBe(200);
    await slapd.change(`dn: uid=cleo,ou=people,${baseDn}\nchangetype: delete\n`);
    expect((await cli(["jobs", "run", "sources", "--data", server.data], {})).code).toBe(0);
    for (const deadline = Date.now() + 60_000; (await usesToken()) !== 401;) {
      if (Date.now() > deadline) throw new Error("the token still works");
      await Bun.sleep(50);
    }
    const renewal = { grant_type: "refresh_token", service: "berth", refresh_token: refresh ?? "" };
    const renewed = await fetch(`${server.url}/token`, { method: "POST", body: new URLSearchParams(renewal) });
    expect(renewed.status).toBe(401);
  });

  test("a password of its own is given to such an account only where that is said", async () => {
    expect(await statusOf(server, "bob", right)).toBe(200);
    const own = "a password of its own\n";
    const refused = await cli(["user", "password", "bob", "--data", server.data], {}, own);
    expect(refused.code).toBe(2);
    expect(refused.error).toContain("--local");
    expect((await cli(["user", "password", "bob", "--local", "--data", server.data], {}, own)).code).toBe(0);
    expect(await statusOf(server, "bob", right)).toBe(401);
    expect(await statusOf(server, "bob", own.trim())).toBe(200);
  });

  test("berth source test tells which step fails and why", async () => {
    const good = await cli(["source", "test", "corp", "--user", "ann"], env);
    expect(good).toMatchObject({ code: 0, error: "" });
    expect(good.out).toMatch(/^ok {6}connect .*\nok {6}bind .*\nok {6}find {5}uid=ann,ou=people,/);
    const bad = { BERTH_ACCESS_SOURCES: sourcesOf(slapd, { bindPassword: "wrong" }) };
    const failed = await cli(["source", "test", "corp", "--json"], bad);
    expect(failed.code).toBe(1);
    expect(failed.out).toContain('{"step":"bind","ok":false,"detail":"it refuses bindDn with its password"}');
    const untrusted = { BERTH_ACCESS_SOURCES: sourcesOf(slapd, { caFile: undefined }) };
    expect((await cli(["source", "test", "corp"], untrusted)).out).toStartWith("FAILED  tls ");
    expect(await cli(["source", "test", "other"], env)).toMatchObject({ code: 2 });
    expect((await cli(["source", "list"], env)).out).toBe(`corp  ldap  enabled  ${slapd.ldapUrl}\n`);
    const shown = await cli(["config", "print"], env);
    expect(shown.out).not.toContain(readerPassword);
  });
});

requirement("a directory that hangs", missingSlapd, () => {
  test("takes nothing from local accounts, and lets nobody in", async () => {
    await using slapd = await startSlapd({ entries: person("ann", right) });
    const sources = sourcesOf(slapd, { connectTimeoutSeconds: 1, operationTimeoutSeconds: 1, cacheSeconds: 0 });
    await using server = await startServer({ env: { BERTH_ACCESS_SOURCES: sources } });
    expect(await statusOf(server, "ann", right)).toBe(200);
    slapd.signal("SIGSTOP");
    const people = Array.from({ length: 12 }, (_, at) => statusOf(server, `person-${at}`, right));
    // Many wait for it by now.
    expect(await statusOf(server, "admin", local)).toBe(200);
    expect(new Set(await Promise.all(people))).toEqual(new Set([503]));
    const away = await ping(server, "ann", right);
    expect(away.status).toBe(503);
    expect(Number(away.headers.get("retry-after"))).toBeGreaterThan(0);
    expect(await away.json()).toMatchObject({ errors: [{ code: "UNAVAILABLE" }] });
    expect(await statusOf(server, "admin", local)).toBe(200);
    await server.logged();
    const told = server.log().filter(({ event }) => event === "source does not answer");
    expect(told.slice(0, 1)).toEqual([
      expect.objectContaining({ level: "warn", source: "corp", reason: expect.stringContaining("in time") }),
    ]);

    slapd.signal("SIGCONT");
    for (const deadline = Date.now() + 60_000; (await statusOf(server, "ann", right)) !== 200;) {
      if (Date.now() > deadline) throw new Error("it did not come back");
      await Bun.sleep(200);
    }
    await server.logged();
    expect(server.log().some(({ event }) => event === "source answers again")).toBe(true);
  });
});
