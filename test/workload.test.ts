import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { run } from "../scripts/proof/run.ts";
import { startIssuer, type TestIssuer } from "./openid/issuer.ts";
import { type Provider, startProvider } from "./oidc/provider.ts";
import { claimsOf, tokenReply } from "./protocol/bearer.ts";
import { pushImage } from "./protocol/content.ts";
import { type Answer, basic, type Registry, registryOf } from "./protocol/registry-client.ts";
import { createTestDatabase, describeEachDatabase } from "./support/databases.ts";
import { requirement } from "./support/requirement.ts";
import { startServer, type TestServer } from "./support/server.ts";

setDefaultTimeout(120_000);

const berth = resolve(import.meta.dir, "../bin/berth");
const robot = "robot$acme+ci";
const audience = "https://registry.example";
const formType = { "content-type": "application/x-www-form-urlencoded" };
const scope = "repository:acme/app:pull,push";
const job = { aud: audience, sub: "repo:acme/app:ref:refs/heads/main", repository: "acme/app" };

/** Several processes on one database, and an issuer. */
describeEachDatabase("tokens of another issuer, on every process of a registry", (dialect) => {
  const used = new AsyncDisposableStack();
  const servers: TestServer[] = [];
  const shown: string[] = [];
  let issuer: TestIssuer;
  let gone: TestIssuer;
  let provider: Provider;
  let folder: string;
  let settings: Readonly<Record<string, string>>;
  const first = (): TestServer => servers[0] as TestServer;
  const as = (authorization: string | undefined): Registry => registryOf(first()).as(authorization);

  beforeAll(async () => {
    issuer = used.use(await startIssuer({ path: "/_services/token" }));
    gone = used.use(await startIssuer());
    provider = used.use(await startProvider({ people: {}, redirectUris: ["https://registry.example/callback"] }));
    folder = await mkdtemp(join(tmpdir(), "berth-workload-"));
    used.defer(() => rm(folder, { recursive: true, force: true }));
    const stored = used.use(await createTestDatabase(dialect));
    settings = {
      BERTH_DATABASE_URL: stored.url,
      BERTH_SECRET: "the same secret for all of the replicas",
      BERTH_ACCESS_ISSUERS: JSON.stringify([issuer.url, gone.url, provider.issuer].map((url) => ({ url }))),
      BERTH_LOG_LEVEL: "debug",
    };
    const workers = { BERTH_HTTP_WORKERS: dialect === "sqlite" ? "2" : "1" };
    servers.push(used.use(await startServer({ env: { ...settings, ...workers } })));
    if (dialect === "postgres") servers.push(used.use(await startServer({ env: { ...settings, ...workers } })));
    await pushImage(registryOf(first()), "acme/app", { tag: "v1" });
    await pushImage(registryOf(first()), "acme/base", { tag: "v1" });
    await cli("org", "create", "acme", "--take-over");
    await cli("robot", "create", "ci", "--org", "acme", "--no-secret");
    await cli("grant", "add", "developer", "--robot", robot, "--namespace", "acme");
  });
  afterAll(() => used.disposeAsync());

  async function attempt(...args: readonly string[]) {
    const { output, exitCode } = await run([berth, ...args, "--data", first().data], { cwd: folder, env: settings });
    return { output, exitCode };
  }
  async function cli(...args: readonly string[]): Promise<string> {
    const { output, exitCode } = await attempt(...args);
    expect(exitCode, output).toBe(0);
    return output;
  }
  const addRule = (...claims: readonly string[]): Promise<string> => addRuleOf(issuer.url, ...claims);
  const addRuleOf = async (url: string, ...claims: readonly string[]): Promise<string> => {
    const given = claims.flatMap((claim) => ["--claim", claim]);
    const trust = ["--issuer", url, "--audience", audience];
    const added = await cli("workload", "add", robot, ...trust, "--json", ...given);
    return (JSON.parse(added) as { readonly id: string }).id;
  };
  const sign = async (claims: Readonly<Record<string, unknown>> = {}): Promise<string> => {
    const token = await issuer.sign({ ...job, jti: crypto.randomUUID(), ...claims });
    shown.push(token);
    return token;
  };
  const exchange = (token: string, more: Readonly<Record<string, string>> = {}): Promise<Answer> => {
    const body = new URLSearchParams({
      grant_type: "urn:ietf:params:oauth:grant-type:token-exchange",
      client_id: robot,
      subject_token: token,
      subject_token_type: "urn:ietf:params:oauth:token-type:jwt",
      scope,
      ...more,
    });
    return as(undefined).send("POST", "/token", { headers: formType, body: body.toString() });
  };
  /** Several connections to each server: whichever process answers, the answer is the same. */
  const pulls = async (authorization: string): Promise<readonly number[]> => {
    const asked = servers.flatMap((server) =>
      Array.from({ length: 8 }, () => registryOf(server).as(authorization).send("GET", "/v2/acme/app/manifests/v1")),
    );
    return [...new Set((await Promise.all(asked)).map((answer) => answer.status))];
  };

  /** Once: what is wrong is counted. */
  const answered = async (authorization: string): Promise<number> =>
    (await as(authorization).send("GET", "/token?service=berth")).status;

  test("are exchanged once (RFC 8693), for a token of ours that ends with them and with their rule", async () => {
    const rule = await addRule("repository=acme/app", "sub=repo:acme/app:ref:refs/heads/*");
    const now = Math.floor(Date.now() / 1000);
    // As GitHub writes it since there are ids in it.
    const token = await sign({ sub: "repo:acme@12/app@34:ref:refs/heads/main", exp: now + 1200 });
    const answer = await exchange(token);
    expect([answer.status, answer.header("cache-control")]).toEqual([200, "no-store"]);
    const { access_token: issued, expires_in: seconds } = tokenReply(answer);
    expect(answer.json()).toMatchObject({
      issued_token_type: "urn:ietf:params:oauth:token-type:access_token",
      token_type: "Bearer",
      scope: "repository:acme/app:pull,push",
    });
    expect(answer.json()).not.toHaveProperty("refresh_token");
    expect(seconds).toBeLessThanOrEqual(1200);
    expect(seconds).toBeGreaterThan(300);
    expect(claimsOf(issued)).toMatchObject({ sub: robot, access: [{ name: "acme/app", actions: ["pull", "push"] }] });
    await pushImage(as(`Bearer ${issued}`), "acme/app", { tag: "v2" });
    expect(await pulls(`Bearer ${issued}`)).toEqual([200]);
    const replays = await Promise.all([exchange(token), exchange(token)]);
    for (const { status, text } of replays) {
      expect([status, text]).toEqual([400, expect.stringContaining('"error":"invalid_request"')]);
    }
    expect(await answered(basic(robot, token))).toBe(401);
    expect(await cli("workload", "show", rule)).toContain("repository=acme/app sub=repo:acme/app:ref:refs/heads/*");
    expect(await cli("workload", "remove", rule, "--dry-run")).toContain("would remove 1 workload rule");
    expect(await pulls(`Bearer ${issued}`)).toEqual([200]);
    await cli("workload", "remove", rule);
    expect(await pulls(`Bearer ${issued}`)).toEqual([401]);
    expect(await cli("workload", "list", robot)).toBe("");
  });

  test("are a robot's password until it is disabled, as docker sends them again and again", async () => {
    const rule = await addRule("repository=acme/*");
    const credentials = basic(robot, await sign());
    expect(await pulls(credentials)).toEqual([200]);
    const answers = await Promise.all(
      Array.from({ length: 4 }, () =>
        as(credentials).send("GET", `/token?service=berth&offline_token=true&scope=${scope}`),
      ),
    );
    for (const answer of answers) {
      expect(answer.status).toBe(200);
      expect(tokenReply(answer).refresh_token).toBeUndefined();
      expect(tokenReply(answer).expires_in).toBeLessThanOrEqual(300);
    }
    const issued = `Bearer ${tokenReply(answers[0] as Answer).access_token}`;
    expect(await pulls(issued)).toEqual([200]);
    await cli("robot", "disable", robot);
    expect([await pulls(issued), await answered(credentials)]).toEqual([[401], 401]);
    await cli("robot", "enable", robot);
    expect([await pulls(issued), await pulls(credentials)]).toEqual([[401], [200]]);
    await cli("workload", "remove", rule);
    expect(await answered(credentials)).toBe(401);
  });

  test("are refused by the letter of RFC 8693 where something is missing or meant for others", async () => {
    const rule = await addRule("repository=acme/app");
    const token = await sign();
    for (const [more, error] of [
      [{ subject_token_type: "urn:ietf:params:oauth:token-type:saml2" }, "invalid_request"],
      [{ requested_token_type: "urn:ietf:params:oauth:token-type:refresh_token" }, "invalid_request"],
      [{ actor_token: token }, "invalid_request"],
      [{ audience: "another" }, "invalid_target"],
      [{ resource: "https://another.example" }, "invalid_target"],
      [{ service: "another" }, "invalid_request"],
      [{ client_id: "robot$acme+other" }, "invalid_request"],
      [{ client_id: "admin" }, "invalid_request"],
      [{ subject_token: first().admin.password, client_id: "admin" }, "invalid_request"],
      [{ scope: "repository:a:pull ".repeat(65) }, "invalid_scope"],
      [{ subject_token: await sign({ repository: "evil/app" }) }, "invalid_request"],
    ] as const) {
      const answer = await exchange(token, more);
      expect([more, answer.status, (answer.json() as { readonly error: string }).error]).toEqual([more, 400, error]);
    }
    for (const missing of ["client_id", "subject_token", "subject_token_type"]) {
      const body = new URLSearchParams({
        grant_type: "urn:ietf:params:oauth:grant-type:token-exchange",
        client_id: robot,
        subject_token: token,
        subject_token_type: "urn:ietf:params:oauth:token-type:jwt",
      });
      body.delete(missing);
      const answer = await as(undefined).send("POST", "/token", { headers: formType, body: body.toString() });
      expect([missing, answer.status]).toEqual([missing, 400]);
    }
    // Nothing of that has used it up, and what is named for us may be said.
    const named = await exchange(token, { audience: "berth", service: "berth" });
    expect(named.status).toBe(200);
    await cli("workload", "remove", rule);
  });

  test("are tried out on the command line, which tells what does not fit and uses nothing up", async () => {
    const [rule, other] = [await addRule("repository=acme/app"), await addRule("environment=production")];
    const path = join(folder, "token");
    await writeFile(path, `${await sign()}\n`);
    const good = await attempt("workload", "test", robot, "--token-file", path);
    expect(good.exitCode).toBe(0);
    expect(good.output).toContain(`${rule}  trusted`);
    expect(good.output).toContain(`${other}  not trusted`);
    expect(good.output).toContain("FAILED  environment=production  (it has none)");
    await writeFile(path, await sign({ repository: "acme/other" }));
    const bad = await attempt("workload", "test", robot, "--token-file", path, "--json");
    expect(bad.exitCode).toBe(1);
    expect(bad.output).toContain('{"what":"repository=acme/app","ok":false,"given":["acme/other"]}');
    const without = await attempt("workload", "add", robot, "--issuer", issuer.url, "--audience", audience);
    expect(without.exitCode).toBe(2);
    expect(without.output).toContain("whoever the issuer knows would be this robot");
    for (const id of [rule, other]) await cli("workload", "remove", id);
  });

  test("are those of a client of an OpenID provider, which has an access token for us", async () => {
    const id = await addRuleOf(provider.issuer, "client_id=job", "scope=push");
    const [ours, anothers] = [await provider.tokenOfJob(audience), await provider.tokenOfJob("https://other.example")];
    shown.push(ours, anothers);
    expect((await exchange(anothers)).status).toBe(400);
    const answer = await exchange(ours);
    expect(answer.status).toBe(200);
    expect(await pulls(`Bearer ${tokenReply(answer).access_token}`)).toEqual([200]);
    await cli("workload", "remove", id);
  });

  requirement("skopeo", Bun.which("skopeo") === null ? "skopeo is not installed" : undefined, () => {
    test("push with skopeo", async () => {
      const rule = await addRule("repository=acme/app");
      const creds = `${robot}:${await sign()}`;
      const [from, to] = ["base:v1", "app:v3"].map((name) => `docker://${first().host}/acme/${name}`);
      const copy = ["skopeo", "--insecure-policy", "copy", "--src-tls-verify=false", "--dest-tls-verify=false"];
      const credentials = ["--src-creds", creds, "--dest-creds", creds];
      const { output, exitCode } = await run([...copy, ...credentials, from ?? "", to ?? ""], { cwd: folder });
      expect(exitCode, output).toBe(0);
      expect((await as(undefined).send("GET", "/v2/acme/app/manifests/v3")).status).toBe(401);
      expect((await registryOf(first()).send("GET", "/v2/acme/app/manifests/v3")).status).toBe(200);
      await cli("workload", "remove", rule);
    });
  });

  test("are let in no more when their issuer has gone before its keys were known, which the log tells once", async () => {
    const add = ["workload", "add", robot, "--issuer", gone.url, "--audience", audience, "--claim", "sub=x", "--json"];
    const { id } = JSON.parse(await cli(...add)) as { readonly id: string };
    const token = await gone.sign({ ...job, sub: "x" });
    await gone.kill();
    for (let at = 0; at < 12; at++) expect(await answered(basic(robot, token))).toBe(401);
    await first().logged();
    const told = first()
      .log()
      .filter(({ event }) => event === "issuer does not answer");
    expect(told[0]).toMatchObject({ level: "warn", issuer: gone.url, reason: expect.any(String) });
    // Each worker has asked it for itself.
    expect(told.length).toBeLessThanOrEqual(2);
    await cli("workload", "remove", id);
  });

  test("are counted, and remembered in the audit log: never what they are themselves", async () => {
    const metrics = await (await fetch(`${first().url}/metrics`)).text();
    for (const outcome of ["accepted", "replayed", "conditions", "rule", "unavailable"]) {
      expect(metrics).toMatch(new RegExp(`berth_workload_tokens_total\\{outcome="${outcome}"\\} [1-9]`));
    }
    const list = async (action: string): Promise<string> => cli("audit", "list", "--action", action, "--json");
    const made = await list("workload-rule-created");
    expect(made).toContain('"conditions":["repository=acme/app"');
    expect(await list("workload-rule-deleted")).toContain(issuer.url);
    for (const deadline = Date.now() + 60_000; !(await list("token-refused")).includes('"why":"replayed"');) {
      if (Date.now() > deadline) throw new Error("the audit log does not tell of a token that was shown twice");
      await Bun.sleep(100);
    }
    const rules = new Set(made.split("\n").flatMap((line) => /"target":"([^"]+)"/.exec(line)?.[1] ?? []));
    expect(rules.size).toBeGreaterThan(0);
    expect(await list("sign-in")).toContain('"tokenId"');
    await Promise.all(servers.map((server) => server.logged()));
    const told = [
      ...servers.map((server) => JSON.stringify(server.log())),
      metrics,
      await cli("audit", "list", "--limit", "1000", "--json"),
    ].join("\n");
    for (const token of shown) {
      const [, payload = "", signature = ""] = token.split(".");
      for (const secret of [token, payload, signature]) expect(told.includes(secret)).toBe(false);
    }
  });
});
