import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { randomBytes } from "node:crypto";
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { connect } from "node:tls";
import { selfSignedCertificate } from "../src/platform/certificates/self-signed-certificate.ts";
import { digestOf } from "./protocol/content.ts";
import { asClientCert, openAuthority } from "./support/authority.ts";
import { requirement } from "./support/requirement.ts";
import { startServer, type TestServer } from "./support/server.ts";

const program = Bun.which("nginx") ?? ["/usr/sbin/nginx"].find((path) => Bun.which(path) !== null);
const page = await Bun.file(resolve(import.meta.dir, "../docs/operators/proxy.md")).text();
const [, documented = ""] = /```nginx\n(server[\s\S]*?)```/.exec(page) ?? [];
const [, withCertificates = ""] = /```nginx\n(ssl_client[\s\S]*?)```/.exec(page) ?? [];

/** A port that nobody has at this moment. */
async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((done) => {
    server.listen(0, "127.0.0.1", done);
  });
  const address = server.address();
  await new Promise((done) => {
    server.close(done);
  });
  return typeof address === "object" && address !== null ? address.port : 0;
}

interface Proxy {
  readonly port: number;
  readonly folder: string;
  readonly stop: () => Promise<void>;
}

/** nginx as the documentation has it, on a port of its own; `change` is what a test has otherwise. */
async function startNginx(berth: TestServer, change: (server: string) => string = (same) => same): Promise<Proxy> {
  const folder = await mkdtemp(join(tmpdir(), "berth-nginx-"));
  for (let attempt = 0; attempt < 5; attempt++) {
    const port = await freePort();
    const server = change(documented)
      .replace("listen 443 ssl", `listen 127.0.0.1:${port} ssl`)
      .replace("http://127.0.0.1:5000", berth.url)
      .replaceAll("/etc/ssl/", `${folder}/`);
    await writeFile(join(folder, "nginx.conf"), configuration(folder, server));
    await writeFile(join(folder, "registry.pem"), certificate.certPem);
    await writeFile(join(folder, "registry.key"), certificate.keyPem);
    const command = [program ?? "", "-p", folder, "-c", join(folder, "nginx.conf"), "-e", join(folder, "error.log")];
    const child = Bun.spawn(command, { stdout: "ignore", stderr: "ignore" });
    while (child.exitCode === null && !(await accepts(port))) await Bun.sleep(50);
    const stop = async (): Promise<void> => {
      child.kill("SIGTERM");
      await child.exited;
      await rm(folder, { recursive: true, force: true });
    };
    if (child.exitCode === null) return { port, folder, stop };
  }
  throw new Error(`nginx does not start: ${await Bun.file(join(folder, "error.log")).text()}`);
}

const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
const configuration = (folder: string, server: string): string => `
daemon off;
user root;
worker_processes 1;
pid ${folder}/nginx.pid;
events { worker_connections 256; }
http {
  access_log off;
  ${temporary.map((name) => `${name}_temp_path ${folder}/${name};`).join("\n  ")}
  ${server}
}
`;

async function accepts(port: number): Promise<boolean> {
  try {
    const socket = await Bun.connect({ hostname: "127.0.0.1", port, socket: { data: () => undefined } });
    socket.end();
    return true;
  } catch {
    return false;
  }
}

const day = 86_400_000;
const certificate = selfSignedCertificate({
  hosts: ["registry.example.org", "127.0.0.1"],
  from: new Date(Date.now() - day),
  until: new Date(Date.now() + day),
});

/** The status and headers of an answer to one request from an address of the loopback. */
function ask(port: number, from: string, lines: readonly string[]): Promise<string> {
  return new Promise((done, fail) => {
    const socket = connect({ host: "127.0.0.1", port, localAddress: from, ca: certificate.certPem } as never);
    let text = "";
    socket.setTimeout(20_000, () => socket.destroy(new Error("nothing came")));
    socket.on("data", (data: Buffer) => (text += data.toString("latin1")));
    socket.on("error", fail);
    socket.on("close", () => done(text));
    socket.write(
      ["GET /v2/ HTTP/1.1", "Host: registry.example.org", "Connection: close", ...lines, "", ""].join("\r\n"),
    );
  });
}

const forged = [
  "X-Forwarded-For: 198.51.100.1",
  "X-Forwarded-Host: evil.example",
  "X-Forwarded-Proto: http",
  "X-Forwarded-Prefix: /evil",
  "X_Forwarded_For: 198.51.100.1",
  "X_Forwarded_Host: evil.example",
  "Forwarded: for=198.51.100.1;host=evil.example;proto=http",
  "X-Real-IP: 198.51.100.1",
];

requirement("nginx in front", program === undefined ? "nginx is not installed" : undefined, () => {
  const used = new AsyncDisposableStack();
  let berth: TestServer;
  let nginx: Proxy;
  beforeAll(async () => {
    berth = used.use(await startServer({ env: { BERTH_HTTP_TRUSTED_PROXIES: "127.0.0.1" } }));
    nginx = await startNginx(berth);
    used.defer(nginx.stop);
  }, 60_000);
  afterAll(() => used.disposeAsync());

  async function addressOf(answer: string): Promise<unknown> {
    await berth.logged();
    const [, id] = /^x-request-id: (\S+)/im.exec(answer) ?? [];
    return berth.requests().find(({ requestId }) => requestId === id)?.["remoteAddress"];
  }

  test("the client's address, the scheme and the host are the client's, whatever it forges", async () => {
    for (const lines of [[], forged, ...forged.map((line) => [line])]) {
      const answer = await ask(nginx.port, "127.0.0.7", lines);
      expect(answer).toStartWith("HTTP/1.1 401");
      expect(answer).toMatch(/^www-authenticate: Bearer realm="https:\/\/registry\.example\.org\/token"/im);
      expect(answer).not.toMatch(/evil|198\.51/);
      expect(await addressOf(answer)).toBe("127.0.0.7");
    }
  });

  test("so it is where nginx adds to what came, and passes names with underscores", async () => {
    const other = await startNginx(berth, (server) =>
      server
        .replace("$remote_addr", "$proxy_add_x_forwarded_for")
        .replace("client_max", "underscores_in_headers on;\nclient_max"),
    );
    try {
      for (const lines of [[], forged, ["X-Forwarded-For: 127.0.0.1", "X-Forwarded-For: 203.0.113.1, 127.0.0.1"]]) {
        const answer = await ask(other.port, "127.0.0.8", lines);
        expect(answer).toContain('realm="https://registry.example.org/token"');
        expect(await addressOf(answer)).toBe("127.0.0.8");
      }
    } finally {
      await other.stop();
    }
  }, 60_000);

  test("a client's certificate that nginx has seen is who it is, and nothing else that the client says", async () => {
    await using authority = await openAuthority("Clients");
    const { certFile, keyFile } = await authority.issue("ann", { subject: "/CN=ann", use: "clientAuth" });
    await using other = await startServer({
      env: {
        BERTH_ACCESS_PROXY_IDENTITY_NETWORKS: "127.0.0.1",
        BERTH_ACCESS_PROXY_IDENTITY_CERTIFICATE_HEADER: "Client-Cert",
        BERTH_ACCESS_PROXY_IDENTITY_CERTIFICATE_CA_FILE: authority.certFile,
        BERTH_ACCESS_PROXY_IDENTITY_CERTIFICATE_ACCOUNT: "commonName",
      },
    });
    const made = await fetch(new URL("/api/v1/accounts", other.url), {
      method: "POST",
      headers: {
        authorization: `Basic ${btoa(`${other.admin.username}:${other.admin.password}`)}`,
        "content-type": "application/json",
      },
      body: JSON.stringify({ name: "ann", password: "a-long-enough-password" }),
    });
    expect(made.status).toBe(201);
    const [first = "", second = "", passed = ""] = withCertificates.trim().split("\n");
    const front = await startNginx(other, (server) =>
      server
        .replace("client_max", `${first.replace("/etc/ssl/clients.pem", authority.certFile)}\n${second}\nclient_max`)
        .replace("proxy_set_header Connection", `${passed}\nproxy_set_header Connection`),
    );
    try {
      const shown = { cert: await Bun.file(certFile).text(), key: await Bun.file(keyFile).text() };
      const clientCert = asClientCert(shown.cert);
      const status = async (tls: object, headers: Record<string, string> = {}) => {
        const url = `https://127.0.0.1:${front.port}/v2/`;
        return (await fetch(url, { headers, tls: { ca: certificate.certPem, ...tls } })).status;
      };
      expect(await status(shown)).toBe(200);
      expect(await status({})).toBe(401);
      expect(await status({}, { "client-cert": clientCert })).toBe(401);
    } finally {
      await front.stop();
    }
  }, 60_000);

  const call = (path: string, init: RequestInit = {}): Promise<Response> => {
    const url = new URL(path, `https://127.0.0.1:${nginx.port}`);
    const { username, password } = berth.admin;
    const headers = { host: "registry.example.org", authorization: `Basic ${btoa(`${username}:${password}`)}` };
    return fetch(url, { ...init, headers, tls: { ca: certificate.certPem } });
  };

  describe("a large layer", () => {
    const bytes = randomBytes(32 << 20);
    const digest = digestOf(bytes);
    test("goes up in one piece and comes back, and nginx keeps none of it on its disk", async () => {
      let kept = 0;
      const watching = setInterval(() => {
        for (const name of temporary)
          void readdir(join(nginx.folder, name), { recursive: true }).then(
            (files) => (kept += files.length),
            () => undefined,
          );
      }, 20);
      try {
        const started = await call("/v2/team/app/blobs/uploads/", { method: "POST" });
        const location = started.headers.get("location") ?? "";
        expect([started.status, location.startsWith("/v2/team/app/")]).toEqual([202, true]);
        const target = `${location}${location.includes("?") ? "&" : "?"}digest=${digest}`;
        expect((await call(target, { method: "PUT", body: bytes })).status).toBe(201);
        const back = await call(`/v2/team/app/blobs/${digest}`);
        expect(digestOf(Buffer.from(await back.arrayBuffer()))).toBe(digest);
      } finally {
        clearInterval(watching);
      }
      expect(kept).toBe(0);
    }, 120_000);

    test("that is refused early is answered with the refusal, and not by nginx", async () => {
      const url = new URL("/v2/team/app/blobs/uploads/nothing", `https://127.0.0.1:${nginx.port}`);
      const tls = { ca: certificate.certPem };
      const init = { method: "PATCH", body: bytes, headers: { host: "registry.example.org" }, tls };
      for (let round = 0; round < 5; round++) {
        const answer = await fetch(url, init);
        expect(answer.status).toBe(401);
        expect(await answer.text()).toContain("UNAUTHORIZED");
      }
    }, 60_000);
  });
});
