import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { resolve } from "node:path";
import { startServer, type TestServer } from "../support/server.ts";
import { unusedPort } from "../support/unused-port.ts";
import { type Browser, openBrowser, type Page, signInThere } from "../support/browser.ts";
import { type Provider, startProvider } from "./provider.ts";

setDefaultTimeout(120_000);

const berth = resolve(import.meta.dir, "../../bin/berth");
const people = { ann: { preferred_username: "ann", name: "Ann Example" } };

async function start(env: Readonly<Record<string, string>> = {}, settings: object = {}) {
  const port = await unusedPort();
  const issuer = `http://localhost:${port}`;
  const source = {
    name: "corp",
    kind: "oidc",
    label: 'Corp <b>"login"</b>',
    issuer,
    clientId: "berth",
    clientSecret: "secret of the client & more",
    ...settings,
  };
  const sources = { BERTH_ACCESS_SOURCES: JSON.stringify([source]) };
  const server = await startServer({ env: { ...sources, BERTH_LOG_LEVEL: "debug", ...env } });
  const provider = await startProvider({
    port,
    people,
    redirectUris: [`${server.url}/sign-in/corp/callback`],
    signedOutUris: [`${server.url}/sign-in`],
  });
  return { server, provider, sources };
}

const me = async (server: TestServer, browser: Browser): Promise<Response> => {
  const cookie = [...browser.cookies(server.host)].map(([name, value]) => `${name}=${value}`).join("; ");
  return fetch(`${server.url}/api/v1/me`, { headers: { cookie } });
};

/** The provider's answer, before the registry has seen it. */
const wayBack = async (server: TestServer, browser: Browser): Promise<URL> => {
  const stopAt = `${server.url}/sign-in/corp/callback`;
  return new URL((await signInThere(browser, `${server.url}/sign-in/corp`, { name: "ann", stopAt })).url);
};

const whole = (page: Page): string => `${page.url} ${JSON.stringify([...page.headers])} ${page.text}`;

async function cli(args: readonly string[], env: Readonly<Record<string, string>>) {
  const child = Bun.spawn([berth, ...args], { env: { ...process.env, ...env }, stdout: "pipe", stderr: "pipe" });
  const [out, error] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
  return { code: await child.exited, out, error };
}

describe("a server of two workers with a provider", () => {
  let server: TestServer;
  let provider: Provider;
  let sources: Readonly<Record<string, string>>;
  beforeAll(async () => {
    ({ server, provider, sources } = await start({ BERTH_HTTP_WORKERS: "2" }, { signOut: true }));
  });
  afterAll(async () => {
    await server[Symbol.asyncDispose]();
    await provider[Symbol.asyncDispose]();
  });

  test("signs somebody in by a browser, from a link on its page to where they wanted to go, and out again", async () => {
    const browser = openBrowser();
    const page = await browser.open(`${server.url}/sign-in?return=/api/v1/me`);
    expect(page.text).toContain("Sign in with Corp &lt;b&gt;&quot;login&quot;&lt;/b&gt;");
    const [, link = ""] = /<a href="(\/sign-in\/corp[^"]*)"/.exec(page.text) ?? [];
    const arrived = await signInThere(browser, `${server.url}${link}`, { name: "ann" });
    expect(arrived.url).toBe(`${server.url}/api/v1/me`);
    expect(JSON.parse(arrived.text)).toMatchObject({ name: "ann" });
    expect([...browser.cookies(server.host).keys()]).toEqual(["berth_session"]);
    const signedIn = await browser.open(`${server.url}/sign-in`);
    expect(signedIn.text).toContain("You are signed in as ann.");
    // On to the provider, where the session is to end too.
    const out = await browser.submit(signedIn, {});
    expect(out.url).toStartWith(`${provider.issuer}/session/end?client_id=berth`);
    expect([...browser.cookies(server.host).keys()]).toEqual([]);
  });

  test("takes an answer in the browser alone that has asked, once, and as it was given", async () => {
    const browser = openBrowser();
    const back = await wayBack(server, browser);
    // Somebody is led to another's answer: that would sign them in as the other.
    const victim = openBrowser();
    expect((await victim.open(back.href)).status).toBe(400);
    await victim.open(`${server.url}/sign-in/corp`, provider.issuer);
    expect((await victim.open(back.href)).status).toBe(400);
    expect((await me(server, victim)).status).toBe(401);
    for (const [name, value] of [
      ["state", undefined],
      ["state", "another"],
      ["iss", "https://evil.example"],
    ] as const) {
      const other = openBrowser();
      const changed = await wayBack(server, other);
      if (value === undefined) changed.searchParams.delete(name);
      else changed.searchParams.set(name, value);
      const answer = await other.open(changed.href);
      expect([name, value, answer.status]).toEqual([name, value, name === "state" ? 400 : 403]);
      expect((await me(server, other)).status).toBe(401);
    }
    const twice = new URL(back);
    twice.searchParams.append("state", "another");
    expect((await browser.open(twice.href)).status).toBe(400);
    const again = openBrowser();
    const answer = await wayBack(server, again);
    expect((await again.open(answer.href)).status).toBe(200);
    expect((await me(server, again)).status).toBe(200);
    expect((await again.open(answer.href)).status).toBe(400);
  });

  test("shows nothing that a provider, or whoever plays one, sends", async () => {
    const browser = openBrowser();
    const back = await wayBack(server, browser);
    const state = back.searchParams.get("state") ?? "";
    const evil = "<script>alert(1)</script>";
    const query = new URLSearchParams({
      error: evil,
      error_description: evil,
      error_uri: evil,
      state,
      iss: provider.issuer,
    });
    const page = await browser.open(`${server.url}/sign-in/corp/callback?${query.toString()}`);
    expect(page.status).toBe(403);
    expect(page.text).not.toContain("alert(1)");
    expect(page.headers.get("content-security-policy")).toContain("default-src 'none'");
    expect(page.headers.get("cache-control")).toBe("no-store");
    expect(page.text).toMatch(/Request [\w-]+/);
  });

  test.each([
    "//evil.example",
    String.raw`/\evil.example`,
    "/%5cevil.example",
    "https:evil.example",
    "\t//evil.example",
  ])("leads to its own page in place of %j", async (elsewhere) => {
    const browser = openBrowser();
    const query = new URLSearchParams({ return: elsewhere }).toString();
    const arrived = await signInThere(browser, `${server.url}/sign-in/corp?${query}`, { name: "ann" });
    expect(arrived.url).toBe(`${server.url}/sign-in`);
    expect(arrived.text).toContain("You are signed in as ann.");
  });

  test("signs those in who have a password here, from its own page alone", async () => {
    const browser = openBrowser();
    const page = await browser.open(`${server.url}/sign-in?return=/api/v1/me`);
    const wrong = await browser.submit(page, { name: server.admin.username, password: "wrong" });
    expect([wrong.status, wrong.text.includes("That did not sign you in.")]).toEqual([401, true]);
    expect(wrong.text).not.toContain('value="wrong"');
    const right = await browser.submit(wrong, { name: server.admin.username, password: server.admin.password });
    expect(JSON.parse(right.text)).toMatchObject({ name: "admin" });
    const form = new URLSearchParams({ name: server.admin.username, password: server.admin.password });
    for (const headers of [
      {},
      { origin: "https://evil.example" },
      { origin: server.url, "sec-fetch-site": "cross-site" },
    ]) {
      for (const path of ["/sign-in", "/sign-out"]) {
        const answer = await fetch(`${server.url}${path}`, { method: "POST", body: form, headers });
        expect([answer.status, answer.headers.getSetCookie()]).toEqual([403, []]);
      }
    }
  });

  test("answers with pages, and only what they are for", async () => {
    for (const [method, path, status] of [
      ["GET", "/sign-in/other", 404],
      ["GET", "/sign-in/corp/other", 404],
      ["GET", "/sign-in/CORP", 404],
      ["POST", "/sign-in/corp", 405],
      ["HEAD", "/sign-in/corp", 405],
      ["GET", "/sign-out", 405],
    ] as const) {
      const answer = await fetch(`${server.url}${path}`, { method, headers: { origin: server.url } });
      expect([method, path, answer.status]).toEqual([method, path, status]);
      expect(answer.headers.get("content-type")).toBe("text/html; charset=utf-8");
    }
  });

  test("keeps count, remembers who came by which source, and tells no secret to its log", async () => {
    const browser = openBrowser();
    const back = await wayBack(server, browser);
    const page = await browser.open(back.href);
    const metrics = await (await fetch(`${server.url}/metrics`)).text();
    expect(metrics).toMatch(/berth_source_answers_total\{source="corp",outcome="identity"\} [1-9]/);
    expect(metrics).toMatch(/berth_source_answers_total\{source="corp",outcome="refused"\} [1-9]/);
    await server.logged();
    const log = JSON.stringify(server.log());
    const secrets = [
      "secret of the client",
      back.searchParams.get("code") ?? "",
      ...browser.cookies(server.host).values(),
    ];
    for (const secret of secrets) expect([secret.length > 8, log.includes(secret)]).toEqual([true, false]);
    expect(whole(page)).not.toContain("eyJ");
    expect(log).toContain('"reason":"the provider answers');
    const { username, password } = server.admin;
    const authorization = `Basic ${Buffer.from(`${username}:${password}`).toString("base64")}`;
    for (const deadline = Date.now() + 30_000; ;) {
      const answer = await fetch(`${server.url}/api/v1/audit?action=sign-in&limit=100`, { headers: { authorization } });
      const text = await answer.text();
      if (text.includes('"source":"corp"') && text.includes('"refused"')) break;
      if (Date.now() > deadline) throw new Error(`the audit log does not have it: ${text}`);
      await Bun.sleep(100);
    }
  });

  test("is tried out by the command line, and hides the secret", async () => {
    expect((await cli(["source", "list"], sources)).out).toBe(`corp  oidc  enabled  ${provider.issuer}\n`);
    const tried = await cli(["source", "test", "corp", "--json"], sources);
    expect([tried.code, tried.out.trim().split("\n").length]).toEqual([0, 3]);
    expect((await cli(["config", "print"], sources)).out).not.toContain("secret of the client");
  });
});

test("without its provider a server signs in those it knows itself, and nobody else", async () => {
  const { server, provider } = await start();
  await using stack = new AsyncDisposableStack();
  stack.use(server);
  stack.use(provider);
  const browser = openBrowser();
  const back = await wayBack(server, browser);
  await provider.kill();
  const page = await browser.open(back.href);
  expect([page.status, page.text.includes("sign-in is not available now")]).toEqual([503, true]);
  expect(Number(page.headers.get("retry-after"))).toBeGreaterThan(0);
  expect((await me(server, browser)).status).toBe(401);
  const form = await browser.open(`${server.url}/sign-in`);
  const { username: name, password } = server.admin;
  await browser.submit(form, { name, password });
  expect((await me(server, browser)).status).toBe(200);
  await provider.start();
  for (const deadline = Date.now() + 60_000; ;) {
    const again = openBrowser();
    await signInThere(again, `${server.url}/sign-in/corp`, { name: "ann" });
    if ((await me(server, again)).status === 200) break;
    if (Date.now() > deadline) throw new Error("it did not come back");
    await Bun.sleep(250);
  }
});
