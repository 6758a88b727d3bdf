import { expect, test } from "bun:test";
import { Database } from "bun:sqlite";
import { createSecretKey, randomBytes } from "node:crypto";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { deriveKey } from "../../src/access/instance-secret.ts";
import { unseal } from "../../src/access/sealed-text.ts";
import { type TokenReply } from "../protocol/bearer.ts";
import { mediaTypes } from "../protocol/content.ts";
import { basic } from "../protocol/registry-client.ts";
import { withoutSettings } from "../support/server.ts";
import { head, say } from "./wire.ts";

const berth = resolve(import.meta.dir, "../../bin/berth");
const canary = (name: string): string => `${name}${randomBytes(18).toString("hex")}`;

interface Running {
  readonly host: string;
  /** Everything that came out of it, stdout and stderr. */
  readonly output: () => string;
  readonly stop: () => Promise<void>;
}

interface Start {
  readonly data: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly args?: readonly string[];
}

const spawn = ({ data, env = {}, args = [] }: Start) =>
  Bun.spawn([berth, "serve", "--addr", "127.0.0.1:0", "--data", data, ...args], {
    env: { ...withoutSettings(process.env), BERTH_LOG_LEVEL: "debug", ...env },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });

async function start(options: Start): Promise<Running> {
  const child = spawn(options);
  const listening = Promise.withResolvers<string>();
  let output = "";
  const read = async (stream: ReadableStream<Uint8Array>): Promise<void> => {
    const decoder = new TextDecoder();
    for await (const chunk of stream) {
      output += decoder.decode(chunk, { stream: true });
      const [, host] = /"url":"http:\/\/([^"]+)"[^\n]*"event":"listening"/.exec(output) ?? [];
      if (host !== undefined) listening.resolve(host);
    }
  };
  const reading = Promise.all([read(child.stdout), read(child.stderr)]);
  void child.exited.then(() => listening.reject(new Error(`it did not listen: ${output}`)));
  const host = await listening.promise;
  const stop = async (): Promise<void> => {
    child.kill("SIGTERM");
    await child.exited;
    await reading;
  };
  return { host, output: () => output, stop };
}

/** Of one that does not start. */
async function refusal(options: Start): Promise<string> {
  const child = spawn(options);
  const timer = setTimeout(() => child.kill("SIGKILL"), 20_000);
  const texts = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
  clearTimeout(timer);
  expect(await child.exited).toBe(2);
  return texts.join("");
}

async function temporaryFolder(): Promise<AsyncDisposable & { readonly path: string }> {
  const path = await mkdtemp(join(tmpdir(), "berth-secrets-"));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

/** As it is, and as encodings that a log might have it in would show it. */
const spellings = (secret: string): readonly string[] => [
  secret,
  encodeURIComponent(secret),
  Buffer.from(secret).toString("base64"),
  Buffer.from(secret).toString("base64url"),
  Buffer.from(secret).toString("hex"),
  JSON.stringify(secret).slice(1, -1),
];

function expectNone(output: string, secrets: Readonly<Record<string, string>>): void {
  const found = Object.entries(secrets).filter(([, secret]) => {
    expect(secret.length).toBeGreaterThanOrEqual(16);
    return spellings(secret).some((spelling) => output.includes(spelling));
  });
  expect(found.map(([name]) => name)).toEqual([]);
}

/** Every path there is, and some that are none, with every method. */
function everyPath(secret: string): readonly string[] {
  const digest = `sha256:${"0".repeat(64)}`;
  const query = `token=${secret}&password=${secret}&access_token=${secret}&_state=${secret}`;
  const paths = ["/v2/", "/v2/_catalog", "/token", "/token/jwks.json", "/", "/nothing", "/v2/acme/app/nothing"];
  const inRepository = [
    "tags/list",
    "manifests/v1",
    `manifests/${digest}`,
    `blobs/${digest}`,
    `referrers/${digest}`,
    "blobs/uploads/",
    "blobs/uploads/00000000-0000-4000-8000-000000000000",
  ];
  const all = [...paths, ...inRepository.map((rest) => `/v2/acme/app/${rest}`)];
  return ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "BREW"].flatMap((method) =>
    all.map((path) => `${method} ${path}?${query} HTTP/1.1`),
  );
}

async function post(host: string, form: Readonly<Record<string, string>>): Promise<Response> {
  return fetch(`http://${host}/token?service=berth`, { method: "POST", body: new URLSearchParams(form) });
}

test("no secret that comes in by any path comes out in the log, at debug level", async () => {
  await using folder = await temporaryFolder();
  const data = join(folder.path, "data");
  const config = join(folder.path, "berth.yaml");
  const password = canary("password");
  const instanceSecret = canary("secret");
  await writeFile(config, `secret: ${instanceSecret}\nlog:\n  level: debug\n`);
  const server = await start({ data, args: ["--config", config], env: { BERTH_ADMIN_PASSWORD: password } });
  const { host } = server;
  const form = {
    service: "berth",
    grant_type: "password",
    username: "admin",
    password,
    access_type: "offline",
    scope: "repository:acme/app:pull,push,delete",
  };
  const tokens = (await (await post(host, form)).json()) as TokenReply;
  const own = {
    wrongPassword: canary("wrong"),
    unknownScheme: canary("digest"),
    malformedBearer: `${canary("bearer")}~!`,
    inQuery: canary("query"),
    cookie: canary("cookie"),
    inAbsoluteTarget: canary("userinfo"),
    refreshGuess: canary("refresh"),
    pushedText: canary("pushed"),
  };
  const credentials = [
    basic("admin", password),
    basic("admin", own.wrongPassword),
    basic(own.wrongPassword, "x"),
    `Bearer ${tokens.access_token}`,
    `Bearer ${tokens.access_token}x`,
    `Bearer ${tokens.refresh_token ?? ""}`,
    `Bearer ${own.malformedBearer}`,
    `Digest username="admin", response="${own.unknownScheme}"`,
    own.unknownScheme,
    `Basic ${own.unknownScheme}!`,
  ];
  const cookies = [
    `Cookie: session=${own.cookie}`,
    `Proxy-Authorization: Basic ${own.cookie}`,
    `X-Api-Key: ${own.cookie}`,
  ];
  for (const [at, line] of everyPath(own.inQuery).entries()) {
    // Each path with two of them, in turn, so that every one meets every kind of path.
    for (const authorization of [credentials[at % credentials.length], credentials[(at + 3) % credentials.length]]) {
      const headers = [`Host: ${host}`, `Authorization: ${authorization ?? ""}`, ...cookies, "Content-Length: 0"];
      expect((await say(host, head(line, ...headers))).statuses).toHaveLength(1);
    }
  }
  await say(host, head(`GET http://admin:${own.inAbsoluteTarget}@${host}/v2/ HTTP/1.1`, `Host: ${host}`));
  await say(host, head("GET /v2/ HTTP/1.1", `Host: admin:${own.inAbsoluteTarget}@${host}`));
  for (const fields of [
    { ...form, password: own.wrongPassword },
    { ...form, username: own.wrongPassword },
    { ...form, scope: own.wrongPassword, service: own.wrongPassword },
    { ...form, grant_type: own.wrongPassword },
    { service: "berth", grant_type: "refresh_token", refresh_token: own.refreshGuess },
    { service: "berth", grant_type: "refresh_token", refresh_token: tokens.refresh_token ?? "" },
  ])
    await (await post(host, fields)).text();
  for (const body of [`{"auths":"${own.pushedText}"`, `{"schemaVersion":2,"${own.pushedText}":1}`, own.pushedText]) {
    const headers = { authorization: `Bearer ${tokens.access_token}`, "content-type": mediaTypes.index };
    await (await fetch(`http://${host}/v2/acme/app/manifests/v1`, { method: "PUT", headers, body })).text();
  }
  const metrics = await (await fetch(`http://${host}/metrics`)).text();
  expect(metrics).toContain("registry_http_requests_total");
  await server.stop();
  expect(server.output()).toContain('"/v2/acme/app/manifests/v1"');
  expectNone(`${server.output()}${metrics}`, {
    ...own,
    password,
    instanceSecret,
    basicHeader: basic("admin", password).slice("Basic ".length),
    accessToken: tokens.access_token,
    signature: tokens.access_token.split(".")[2] ?? "",
    refreshToken: tokens.refresh_token ?? "",
    privateKey: privateKeyOf(data, instanceSecret),
  });
}, 60_000);

/** The secret number of the key that tokens are signed with, as the database has it. */
function privateKeyOf(data: string, instanceSecret: string): string {
  using database = new Database(join(data, "berth.sqlite"), { readonly: true });
  const row = database.query("select kid, sealed_private_jwk from signing_keys").get() as {
    readonly kid: string;
    readonly sealed_private_jwk: string;
  };
  const key = deriveKey(createSecretKey(instanceSecret, "utf8"), "signing keys");
  const { d } = JSON.parse(unseal(key, row.kid, row.sealed_private_jwk) ?? "{}") as { readonly d?: string };
  return d ?? "";
}

test("the first password is shown once, and no later start or request shows it or the secret again", async () => {
  await using folder = await temporaryFolder();
  const data = join(folder.path, "data");
  const first = await start({ data });
  const password = (await readFile(join(data, "initial-admin-password"), "utf8")).trim();
  const secret = (await readFile(join(data, "secret"), "utf8")).trim();
  await fetch(`http://${first.host}/v2/`, { headers: { authorization: basic("admin", password) } });
  await first.stop();
  expect(first.output().split(password)).toHaveLength(2);
  const shown = first
    .output()
    .split("\n")
    .filter((line) => line.includes(password));
  expect(shown).toEqual([`Sign in as admin with the password ${password}`]);
  const second = await start({ data });
  const answer = await fetch(`http://${second.host}/v2/`, { headers: { authorization: basic("admin", password) } });
  expect(answer.status).toBe(200);
  await second.stop();
  expectNone(first.output().replace(password, ""), { password, secret });
  expectNone(second.output(), { password, secret });
}, 30_000);

test("a server that does not start shows none of the secrets in its settings", async () => {
  await using folder = await temporaryFolder();
  const data = join(folder.path, "data");
  const secret = canary("hidden");
  const urls = [
    `postgres://berth:${secret}@127.0.0.1:1/db`,
    `postgres://berth:${secret}@[not-a-host/db`,
    `postgres://berth:${secret}@localhost:99999/db`,
    `postgres://berth:${secret}#@127.0.0.1:1/db`,
    `postgres://berth:${secret}%zz@127.0.0.1:1/db`,
    `mysql://berth:${secret}@127.0.0.1/db`,
    secret,
  ];
  for (const url of urls) {
    const output = await refusal({ data, env: { BERTH_DATABASE_URL: url } });
    expect(output).toContain("database.url: ");
    expectNone(output, { [url.replace(secret, "SECRET")]: secret });
  }
  const config = join(folder.path, "berth.yaml");
  const files = [
    `secret: !${secret}\n`,
    `secret: >${secret}\n`,
    `secret: "${secret}\n`,
    `secret: [${secret}]\n`,
    `secret: {a: ${secret}}\n`,
    `secret: |\n  ok\n -----BEGIN PRIVATE KEY-----\n${secret}\n`,
    `database:\n  url: mysql://berth:${secret}@localhost/db\n`,
    `database: postgres://berth:${secret}@localhost/db\n`,
    `http:\n  publicUrl: ftp://admin:${secret}@localhost/\n`,
    secret,
  ];
  for (const text of files) {
    await writeFile(config, text);
    const output = await refusal({ data, args: ["--config", config] });
    expect(output).toStartWith("berth: ");
    expectNone(output, { [text.replace(secret, "SECRET")]: secret });
  }
  for (const env of [{ BERTH_SECRET: secret.slice(0, 20) }, { BERTH_ADMIN_PASSWORD: secret.repeat(30) }]) {
    expectNone(await refusal({ data, env }), { start: secret.slice(0, 20) });
  }
}, 60_000);
