import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtemp, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { openBrowser } from "./support/browser.ts";
import { approveDevice, beginDeviceLogin, openSignedIn } from "./support/device-login.ts";
import { startServer, type TestServer, withoutSettings } from "./support/server.ts";

setDefaultTimeout(120_000);

const berth = resolve(import.meta.dir, "../bin/berth");
const grantType = "urn:ietf:params:oauth:grant-type:device_code";

describe("a server that devices sign in to", () => {
  let server: TestServer;
  let config: string;
  beforeAll(async () => {
    config = await mkdtemp(join(tmpdir(), "berth-config-"));
    server = await startServer();
  });
  afterAll(async () => {
    await server[Symbol.asyncDispose]();
    await rm(config, { recursive: true, force: true });
  });

  const post = async (path: string, form: Readonly<Record<string, string>>) => {
    const answer = await fetch(`${server.url}${path}`, { method: "POST", body: new URLSearchParams(form) });
    return { status: answer.status, told: (await answer.json()) as Readonly<Record<string, unknown>>, answer };
  };
  const begin = async (form: Readonly<Record<string, string>> = {}) => {
    const { told } = await post("/device/authorization", { client_id: "test", ...form });
    return { deviceCode: String(told["device_code"]), url: String(told["verification_uri_complete"]), told };
  };
  const poll = (deviceCode: string) => post("/device/token", { grant_type: grantType, device_code: deviceCode });
  const run = async (args: readonly string[], input = "") => {
    const child = Bun.spawn([berth, ...args], {
      env: { ...withoutSettings(process.env), XDG_CONFIG_HOME: config },
      stdin: Buffer.from(input),
      stdout: "pipe",
      stderr: "pipe",
    });
    const [out, error] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
    return { code: await child.exited, out, error };
  };

  test("tells them what RFC 8628 has them know, and no more", async () => {
    const { told } = await begin({ device_name: "a laptop" });
    expect(told).toEqual({
      device_code: expect.stringMatching(/^berth_device_\w{54}$/),
      user_code: expect.stringMatching(/^[B-Z]{4}-[B-Z]{4}$/),
      verification_uri: `${server.url}/device`,
      verification_uri_complete: `${server.url}/device?user_code=${String(told["user_code"])}`,
      expires_in: 600,
      interval: 5,
    });
    const pending = await poll(String(told["device_code"]));
    expect([pending.status, pending.told]).toEqual([400, { error: "authorization_pending" }]);
    expect(pending.answer.headers.get("cache-control")).toBe("no-store");
    expect((await poll(String(told["device_code"]))).told).toEqual({ error: "slow_down" });
    expect((await poll("another")).told).toEqual({ error: "invalid_grant" });
    for (const [path, form, error] of [
      ["/device/authorization", {}, "invalid_request"],
      ["/device/authorization", { client_id: "x", scope: "admin" }, "invalid_scope"],
      ["/device/authorization", { client_id: "x", device_name: "two\nlines" }, "invalid_request"],
      ["/device/token", { grant_type: "password", device_code: "x" }, "unsupported_grant_type"],
      ["/device/token", { grant_type: grantType }, "invalid_request"],
    ] as const)
      expect(await post(path, form)).toMatchObject({ status: 400, told: { error } });
    const twice = new URLSearchParams([
      ["client_id", "a"],
      ["client_id", "b"],
    ]);
    expect((await fetch(`${server.url}/device/authorization`, { method: "POST", body: twice })).status).toBe(400);
  });

  test("lets one in by a browser that has signed in, on its own page alone", async () => {
    const { deviceCode, url } = await begin({ device_name: "<b>laptop</b>" });
    const browser = openBrowser();
    const page = await openSignedIn(browser, url, server.admin);
    expect(page.url).toBe(url);
    expect(page.text).toContain("&lt;b&gt;laptop&lt;/b&gt;");
    expect(page.text).toContain("127.0.0.1");
    expect(page.text).toContain("pull, push and delete images");
    const cookie = [...browser.cookies(server.host)].map(([name, value]) => `${name}=${value}`).join("; ");
    const form = new URLSearchParams({ user_code: url.slice(-9), decision: "approve" });
    for (const headers of [
      {},
      { origin: "https://evil.example" },
      { origin: server.url, "sec-fetch-site": "cross-site" },
    ]) {
      const answer = await fetch(`${server.url}/device`, {
        method: "POST",
        body: form,
        headers: { cookie, ...headers },
      });
      expect(answer.status).toBe(403);
    }
    expect((await poll(deviceCode)).told).toEqual({ error: "authorization_pending" });
    const approved = await browser.submit(page, { decision: "approve" });
    expect(approved.text).toContain("The device is signed in");
    const { status, told } = await poll(deviceCode);
    expect([status, told]).toEqual([
      200,
      {
        access_token: expect.stringMatching(/^berth_pat_/),
        token_type: "Bearer",
        expires_in: expect.any(Number),
        account: "admin",
        token_id: expect.any(String),
      },
    ]);
    const authorization = `Basic ${Buffer.from(`admin:${String(told["access_token"])}`).toString("base64")}`;
    expect((await fetch(`${server.url}/v2/`, { headers: { authorization } })).status).toBe(200);
    // For images alone: it makes no accounts, whoever has let it in.
    expect((await fetch(`${server.url}/api/v1/accounts`, { headers: { authorization } })).status).toBe(403);
    expect((await browser.open(url)).status).toBe(404);
    await server.logged();
    expect(JSON.stringify(server.log())).not.toContain(String(told["access_token"]));
    expect(JSON.stringify(server.log())).not.toContain(deviceCode);
  });

  test("shows nobody a device, and lets nobody decide, who has not signed in", async () => {
    const { deviceCode, url } = await begin();
    const answer = await fetch(url, { redirect: "manual" });
    expect([answer.status, answer.headers.get("location")]).toEqual([
      303,
      `/sign-in?return=${encodeURIComponent(`/device?user_code=${url.slice(-9)}`)}`,
    ]);
    const elsewhere = await fetch(`${server.url}/device?user_code=//evil.example`, { redirect: "manual" });
    expect(elsewhere.headers.get("location")).toBe("/sign-in?return=%2Fdevice");
    const code = url.slice(-9);
    expect((await fetch(`${server.url}/api/v1/device-sign-ins/${code}`)).status).toBe(401);
    expect((await poll(deviceCode)).told).toEqual({ error: "authorization_pending" });
  });

  test("has the same over the API, with a password and not with a token", async () => {
    const { deviceCode, url } = await begin({ device_name: "by the API", scope: "everything" });
    const { username, password } = server.admin;
    const ask = (method: string, secret: string, body?: string) =>
      fetch(`${server.url}/api/v1/device-sign-ins/${url.slice(-9)}`, {
        method,
        headers: {
          authorization: `Basic ${Buffer.from(`${username}:${secret}`).toString("base64")}`,
          ...(body !== undefined && { "content-type": "application/json" }),
        },
        ...(body !== undefined && { body }),
      });
    expect(await (await ask("GET", password)).json()).toMatchObject({ device: "by the API", scope: "everything" });
    expect((await ask("POST", password, JSON.stringify({ decision: "approve" }))).status).toBe(204);
    const { told } = await poll(deviceCode);
    const token = String(told["access_token"]);
    expect(token).toStartWith("berth_pat_");
    expect((await ask("GET", token)).status).toBe(403);
    expect((await ask("GET", password)).status).toBe(404);
  });

  test("is signed in to by berth login, used by its commands and as docker's helper, and left by berth logout", async () => {
    const login = await beginDeviceLogin(server, { config, args: ["--json"] });
    expect(login.url).toEndWith(login.code);
    await approveDevice(server, login);
    const { code, out } = await login.ended;
    const [first, last] = out
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as Readonly<Record<string, string>>);
    expect([code, first, last]).toEqual([
      0,
      { url: login.url, code: login.code },
      { server: server.url, name: "admin", expiresAt: expect.any(String) },
    ]);
    expect((await stat(join(config, "berth/sessions.json"))).mode & 0o777).toBe(0o600);
    const listed = await run(["token", "list", "--user", "admin", "--server", server.url, "--json"]);
    expect([listed.code, listed.out.includes('"name":"berth on ')]).toEqual([0, true]);

    const got = await run(["docker-credential", "get"], server.host);
    const { ServerURL, Username, Secret } = JSON.parse(got.out) as Readonly<Record<string, string>>;
    expect([got.code, ServerURL, Username]).toEqual([0, server.host, "admin"]);
    const authorization = `Basic ${Buffer.from(`${Username ?? ""}:${Secret ?? ""}`).toString("base64")}`;
    const ping = async () => (await fetch(`${server.url}/v2/`, { headers: { authorization } })).status;
    expect(await ping()).toBe(200);
    expect(JSON.parse((await run(["docker-credential", "list"])).out)).toEqual({ [server.url]: "admin" });

    expect(await run(["logout", server.url])).toMatchObject({ code: 0 });
    expect(await ping()).toBe(401);
    expect(await run(["docker-credential", "get"], server.host)).toEqual({
      code: 1,
      out: "credentials not found in native keychain\n",
      error: "",
    });
  });

  test("keeps what docker hands over, for its owner alone, until docker forgets it", async () => {
    const stored = { ServerURL: "registry.example", Username: "bob", Secret: "berth_pat_x" };
    expect((await run(["docker-credential", "store"], JSON.stringify(stored))).code).toBe(0);
    expect((await stat(join(config, "berth/docker-credentials.json"))).mode & 0o777).toBe(0o600);
    expect(JSON.parse((await run(["docker-credential", "get"], "registry.example\n")).out)).toEqual(stored);
    expect(JSON.parse((await run(["docker-credential", "list"])).out)).toEqual({ "registry.example": "bob" });
    expect((await run(["docker-credential", "erase"], "registry.example")).code).toBe(0);
    expect((await run(["docker-credential", "get"], "registry.example")).code).toBe(1);
    expect((await run(["docker-credential", "store"], "{}")).code).toBe(2);
    expect((await run(["docker-credential", "get"])).code).toBe(2);
  });

  test("sends a device away that nobody wants, which berth login tells", async () => {
    const login = await beginDeviceLogin(server, { config });
    const browser = openBrowser();
    const page = await openSignedIn(browser, login.url, server.admin);
    expect(page.text).toContain("everything that you may");
    await browser.submit(page, { decision: "deny" });
    const { code, error } = await login.ended;
    expect([code, error.includes("it was refused in the browser")]).toEqual([2, true]);
  });

  test("counts them", async () => {
    const metrics = await (await fetch(`${server.url}/metrics`)).text();
    for (const outcome of ["begun", "approved", "denied", "granted"])
      expect(metrics).toMatch(new RegExp(String.raw`berth_device_sign_ins_total\{outcome="${outcome}"\} [1-9]`));
  });
});
