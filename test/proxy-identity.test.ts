import { afterAll, beforeAll, expect, test } from "bun:test";
import { basic } from "./protocol/registry-client.ts";
import { asClientCert, asEscapedPem, type Authority, openAuthority } from "./support/authority.ts";
import { requirement } from "./support/requirement.ts";
import { startServer, type TestServer } from "./support/server.ts";
import { head, openSocket } from "./hostile/wire.ts";

const [proxy, elsewhere] = ["127.0.0.2", "127.0.0.3"];
const missing = Bun.which("openssl") === null ? "openssl is not installed" : undefined;
const password = "a-long-enough-password";
const rules = [
  { field: "uri", value: "spiffe://example.org/ci", robot: "robot$ci" },
  { field: "email", value: "boss@example.org", account: "admin" },
];

interface Answered {
  readonly status: number;
  readonly body: string;
}

requirement("who a proxy says that a request is from", missing, () => {
  let authority: Authority;
  let server: TestServer;
  beforeAll(async () => {
    authority = await openAuthority("Clients");
    server = await startServer({
      env: {
        BERTH_HTTP_TRUSTED_PROXIES: proxy,
        BERTH_ACCESS_PROXY_IDENTITY_NETWORKS: proxy,
        BERTH_ACCESS_PROXY_IDENTITY_USER_HEADER: "X-Remote-User",
        BERTH_ACCESS_PROXY_IDENTITY_CERTIFICATE_HEADER: "Client-Cert",
        BERTH_ACCESS_PROXY_IDENTITY_CERTIFICATE_CA_FILE: authority.certFile,
        BERTH_ACCESS_PROXY_IDENTITY_CERTIFICATE_RULES: JSON.stringify(rules),
        BERTH_ACCESS_PROXY_IDENTITY_CERTIFICATE_ACCOUNT: "commonName",
      },
    });
    for (const name of ["ann", "bob"]) expect((await api("POST", "/accounts", { name, password })).status).toBe(201);
    expect((await api("POST", "/robots", { name: "ci" })).status).toBeLessThan(300);
  }, 60_000);
  afterAll(async () => {
    await server[Symbol.asyncDispose]();
    await authority[Symbol.asyncDispose]();
  });

  const admin = (): string => basic(server.admin.username, server.admin.password);
  const api = (method: string, path: string, json?: object): Promise<Response> =>
    fetch(new URL(`/api/v1${path}`, server.url), {
      method,
      headers: { authorization: admin(), "content-type": "application/json", "if-match": "*" },
      ...(json && { body: JSON.stringify(json) }),
    });

  /** One request from an address of the loopback. */
  async function ask(from: string, line: string, ...headers: readonly string[]): Promise<Answered> {
    const socket = await openSocket(server.host, from);
    const received: Buffer[] = [];
    const closed = new Promise((done) => socket.on("close", done));
    socket.on("data", (data: Buffer) => received.push(data));
    socket.resume();
    socket.write(head(`${line} HTTP/1.1`, "Host: registry.example.org", ...headers));
    await closed;
    const text = Buffer.concat(received).toString("utf8");
    return { status: Number(/^HTTP\/1\.1 (\d+)/.exec(text)?.[1]), body: text.slice(text.indexOf("\r\n\r\n") + 4) };
  }
  const base = async (from: string, ...headers: readonly string[]) => (await ask(from, "GET /v2/", ...headers)).status;
  const list = async (...headers: readonly string[]) => (await ask(proxy, "GET /v2/_catalog", ...headers)).body;
  const signIns = async (): Promise<string> => (await api("GET", "/audit?actor=ann&action=sign-in")).text();
  const who = (from: string, ...headers: readonly string[]) => ask(from, "GET /api/v1/me", ...headers);

  test("is so where the proxy says it, and from elsewhere as if nothing were said", async () => {
    const user = "X-Remote-User: ann";
    expect(await base(proxy, user)).toBe(200);
    expect(JSON.parse((await who(proxy, user)).body)).toMatchObject({ name: "ann" });
    for (const from of [elsewhere, "127.0.0.1"]) {
      expect(await base(from, user)).toBe(await base(from));
      expect((await who(from, user)).status).toBe(401);
      expect(await base(from, user, `X-Forwarded-For: ${proxy}`)).toBe(401);
    }
    // The proxy's own connection counts, whoever it says that it asks for.
    expect(await base(proxy, user, "X-Forwarded-For: 203.0.113.9")).toBe(200);
    expect(await base(proxy)).toBe(401);
  });

  test("counts for nobody but an account that is there, is not disabled and administers nothing", async () => {
    for (const name of [
      "admin",
      "nobody",
      "",
      "ann, bob",
      "ann,ann",
      "../ann",
      "robot$ci",
      "an\xe4n",
      "x".repeat(4000),
    ]) {
      expect([name, await base(proxy, `X-Remote-User: ${name}`)]).toEqual([name, 401]);
    }
    expect(await base(proxy, "X_Remote_User: ann")).toBe(401);
    expect(await base(proxy, "X-Remote-User: ann", "X-Remote-User: bob")).toBe(401);
    expect(await base(proxy, "X-Remote-User: Ann")).toBe(200);
    await api("PATCH", "/accounts/ann", { disabled: true });
    expect(await base(proxy, "X-Remote-User: ann")).toBe(401);
    await api("PATCH", "/accounts/ann", { disabled: false });
    expect(await base(proxy, "X-Remote-User: ann")).toBe(200);
    // An account that is made an administrator is let in with its own credentials alone.
    const grant = { role: "administrator", to: { kind: "account", name: "bob" }, on: { kind: "instance" } };
    const { id } = (await (await api("POST", "/grants", grant)).json()) as { readonly id: string };
    expect(await base(proxy, "X-Remote-User: bob")).toBe(401);
    await api("DELETE", `/grants/${id}`);
    expect(await base(proxy, "X-Remote-User: bob")).toBe(200);
  });

  test("gives way to credentials, and lets no page of others change anything", async () => {
    const own = `Authorization: ${admin()}`;
    expect(JSON.parse((await who(proxy, "X-Remote-User: ann", own)).body)).toMatchObject({ name: "admin" });
    expect(await base(proxy, "X-Remote-User: ann", "Authorization: Bearer x")).toBe(401);
    const change = (...headers: readonly string[]) =>
      ask(proxy, "DELETE /api/v1/organizations/none", "X-Remote-User: ann", "Content-Length: 0", ...headers);
    expect((await change("Origin: https://evil.example")).status).toBe(403);
    expect((await change("Sec-Fetch-Site: cross-site")).status).toBe(403);
    expect((await change("Sec-Fetch-Site: same-origin")).status).toBe(404);
    expect((await change()).status).toBe(404);
  });

  test("is not mixed with what is remembered of others", async () => {
    for (const name of ["ann", "bob"]) {
      expect(
        (
          await fetch(new URL(`/v2/${name}/app/blobs/uploads/`, server.url), {
            method: "POST",
            headers: { authorization: basic(name, password) },
          })
        ).status,
      ).toBe(202);
      expect((await api("POST", "/repositories", { name: `${name}/app` })).status).toBeLessThan(300);
    }
    for (let round = 0; round < 3; round += 1) {
      expect(JSON.parse(await list("X-Remote-User: ann"))).toEqual({ repositories: ["ann/app"] });
      expect(JSON.parse(await list("X-Remote-User: bob"))).toEqual({ repositories: ["bob/app"] });
      expect((await ask(proxy, "GET /v2/_catalog")).status).toBe(401);
    }
  });

  test("may be a client's certificate, which counts by its rule and for as long as its owner does", async () => {
    const robot = await authority.issue("robot", { subject: "/CN=x", alternativeNames: "URI:spiffe://example.org/ci" });
    const ann = await authority.issue("ann", { subject: "/O=Example/CN=ann", use: "clientAuth" });
    for (const write of [asClientCert, asEscapedPem]) {
      expect(await base(proxy, `Client-Cert: ${write(robot.pem)}`)).toBe(200);
      expect(JSON.parse((await who(proxy, `Client-Cert: ${write(ann.pem)}`)).body)).toMatchObject({ name: "ann" });
    }
    expect(await base(elsewhere, `Client-Cert: ${asClientCert(ann.pem)}`)).toBe(401);
    // What it says counts, and not what a header beside it does.
    const both = await who(proxy, "X-Remote-User: bob", `Client-Cert: ${asClientCert(ann.pem)}`);
    expect(JSON.parse(both.body)).toMatchObject({ name: "ann" });
    const boss = await authority.issue("boss", { subject: "/CN=ann", alternativeNames: "email:boss@example.org" });
    const near = await authority.issue("near", { subject: "/CN=y", alternativeNames: "URI:spiffe://example.org/ci2" });
    const other = await openAuthority("Clients");
    const foreign = await other.issue("ann", { subject: "/CN=ann" });
    for (const { pem } of [boss, near, foreign])
      expect(await base(proxy, `Client-Cert: ${asClientCert(pem)}`)).toBe(401);
    await other[Symbol.asyncDispose]();
    for (const text of [
      "",
      "(null)",
      ":",
      "::",
      ":AAAA:",
      "x".repeat(9000),
      asClientCert(ann.pem).slice(0, -9),
      "%",
      `${asClientCert(ann.pem)}, ${asClientCert(ann.pem)}`,
    ]) {
      expect([text, await base(proxy, `Client-Cert: ${text}`)]).toEqual([text, 401]);
    }
    await api("PATCH", "/robots/ci", { disabled: true });
    expect(await base(proxy, `Client-Cert: ${asClientCert(robot.pem)}`)).toBe(401);
    await api("PATCH", "/robots/ci", { disabled: false });
    expect(await base(proxy, `Client-Cert: ${asClientCert(robot.pem)}`)).toBe(200);
  }, 30_000);

  test("is in the metrics and in the audit log", async () => {
    await base(proxy, "X-Remote-User: ann");
    const metrics = await (await fetch(new URL("/metrics", server.url))).text();
    expect(metrics).toMatch(/berth_proxy_identities_total\{outcome="accepted"\} [1-9]/);
    expect(metrics).toMatch(/berth_proxy_identities_total\{outcome="refused"\} [1-9]/);
    for (const deadline = Date.now() + 20_000; !(await signIns()).includes(proxy) && Date.now() < deadline;)
      await Bun.sleep(50);
    expect(await signIns()).toContain(`"address":"${proxy}"`);
  }, 30_000);
});
