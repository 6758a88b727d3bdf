import { afterAll, beforeAll, expect, test } from "bun:test";
import { copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect, type TLSSocket } from "node:tls";
import { basic } from "./protocol/registry-client.ts";
import { type Authority, type Issued, openAuthority } from "./support/authority.ts";
import { listeningPorts } from "./protocol/server-process.ts";
import { sha256, writeImage } from "./support/image-layout.ts";
import { requirement } from "./support/requirement.ts";
import { startServer, type TestServer } from "./support/server.ts";

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

requirement("client certificates of the server's own TLS", missing, () => {
  let folder = "";
  let authority: Authority;
  let other: Authority;
  let own: Issued;
  let server: TestServer;
  let shown: Readonly<Record<"ann" | "bob" | "robot" | "boss" | "nobody" | "foreign", Issued>>;
  const caFile = (): string => join(folder, "clients.pem");
  const settings = (): Record<string, string> => ({
    BERTH_TLS_CERT_FILE: own.certFile,
    BERTH_TLS_KEY_FILE: own.keyFile,
    BERTH_TLS_CHECK_SECONDS: "1",
    BERTH_ACCESS_CLIENT_CERTIFICATES_CA_FILE: caFile(),
  });

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "berth-client-certificates-"));
    [authority, other] = [await openAuthority("Clients"), await openAuthority("Others")];
    own = await authority.issue("server", { subject: "/CN=registry", alternativeNames: "DNS:localhost,IP:127.0.0.1" });
    const use = "clientAuth";
    shown = {
      ann: await authority.issue("ann", { subject: "/O=Example/CN=ann", use }),
      bob: await authority.issue("bob", { subject: "/CN=bob", use }),
      robot: await authority.issue("robot", { subject: "/CN=x", use, alternativeNames: "URI:spiffe://example.org/ci" }),
      boss: await authority.issue("boss", { subject: "/CN=ann", use, alternativeNames: "email:boss@example.org" }),
      nobody: await authority.issue("nobody", { subject: "/CN=nobody", use }),
      foreign: await other.issue("foreign", { subject: "/CN=ann", use }),
    };
    await copyFile(authority.certFile, caFile());
    server = await startServer({
      env: {
        ...settings(),
        BERTH_ACCESS_CLIENT_CERTIFICATES_RULES: JSON.stringify(rules),
        BERTH_ACCESS_CLIENT_CERTIFICATES_ACCOUNT: "commonName",
      },
    });
    for (const name of ["ann", "bob"]) expect((await api("POST", "/accounts", { name, password })).status).toBe(201);
    expect((await api("POST", "/robots", { name: "ci" })).status).toBe(201);
  }, 60_000);
  afterAll(async () => {
    await server[Symbol.asyncDispose]();
    for (const one of [authority, other]) await one[Symbol.asyncDispose]();
    await rm(folder, { recursive: true, force: true });
  });

  const admin = (): string => basic(server.admin.username, server.admin.password);
  const api = (method: string, path: string, json?: object): Promise<Response> =>
    fetch(new URL(`/api/v1${path}`, server.url), {
      method,
      headers: { authorization: admin(), "content-type": "application/json", "if-match": "*" },
      tls: { rejectUnauthorized: false },
      ...(json && { body: JSON.stringify(json) }),
    });
  const disable = (kind: "accounts" | "robots", name: string, disabled: boolean): Promise<Response> =>
    api("PATCH", `/${kind}/${name}`, { disabled });

  interface Dialled {
    readonly socket: TLSSocket;
    ask(line: string, ...headers: readonly string[]): Promise<Answered>;
  }

  /** A connection of its own, by the certificate that is shown. */
  async function dial(issued?: Issued, to: TestServer = server, session?: Buffer): Promise<Dialled> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const key = issued && { cert: await readFile(issued.certFile), key: await readFile(issued.keyFile) };
    const port = Number(new URL(to.url).port);
    const socket = connect({ host: "127.0.0.1", port, rejectUnauthorized: false, ...key, ...(session && { session }) });
    socket.once("secureConnect", resolve).once("error", reject);
    await promise;
    return {
      socket,
      ask(line, ...headers) {
        const answered = answerOn(socket);
        socket.write([`${line} HTTP/1.1`, "Host: localhost", ...headers, "", ""].join("\r\n"));
        return answered;
      },
    };
  }
  async function ask(issued: Issued | undefined, line: string, ...headers: readonly string[]): Promise<Answered> {
    const { socket, ask: askOn } = await dial(issued);
    const answer = await askOn(line, ...headers);
    socket.destroy();
    return answer;
  }
  const base = async (issued: Issued | undefined, ...headers: readonly string[]) =>
    (await ask(issued, "GET /v2/", ...headers)).status;
  const me = "GET /api/v1/me";

  const untilRenewed = async (times: number, event = "client authorities renewed"): Promise<void> => {
    const count = () => server.log().filter((line) => line.event === event).length;
    for (const deadline = Date.now() + 30_000; count() < times && Date.now() < deadline;) await Bun.sleep(20);
    expect(count()).toBe(times);
  };
  const signIns = async () => (await api("GET", "/audit?actor=ann&action=sign-in")).text();

  test("say who it is, by the rules, and who shows none goes on as before", async () => {
    expect(nameIn(await ask(shown.ann, me))).toBe("ann");
    for (const issued of [shown.ann, shown.robot]) expect(await base(issued)).toBe(200);
    expect(await base(undefined)).toBe(401);
    expect((await ask(undefined, me)).status).toBe(401);
    expect(await base(undefined, `Authorization: ${admin()}`)).toBe(200);
  });

  test("count for nobody who is an administrator, is not there, or has one of another authority", async () => {
    for (const issued of [shown.boss, shown.nobody, shown.foreign]) {
      expect(await base(issued)).toBe(401);
      expect((await ask(issued, me)).status).toBe(401);
      // What they know themselves is good all the same.
      expect(nameIn(await ask(issued, me, `Authorization: ${basic("bob", password)}`))).toBe("bob");
    }
  });

  test("are not what a header says", async () => {
    const der = shown.bob.pem.replaceAll(/-----[^-]+-----|\s/g, "");
    const forged = [
      `Client-Cert: :${der}:`,
      "X-Remote-User: bob",
      "X-Forwarded-For: 127.0.0.1",
      "X-SSL-Client-CN: bob",
    ];
    expect(nameIn(await ask(shown.ann, me, ...forged))).toBe("ann");
    expect((await ask(undefined, me, ...forged)).status).toBe(401);
  });

  test("are of their connection, whatever is sent on it, and good for as long as their owner is", async () => {
    const [ann, bob, robot] = [await dial(shown.ann), await dial(shown.bob), await dial(shown.robot)];
    for (let round = 0; round < 3; round++) {
      expect(nameIn(await ann.ask(me))).toBe("ann");
      expect(nameIn(await ann.ask(me, `Authorization: ${basic("bob", password)}`))).toBe("bob");
      expect((await ann.ask("GET /v2/", "Authorization: Bearer x")).status).toBe(401);
      expect(nameIn(await bob.ask(me))).toBe("bob");
      expect((await robot.ask("GET /v2/")).status).toBe(200);
    }
    expect((await disable("accounts", "ann", true)).status).toBe(200);
    expect((await disable("robots", "ci", true)).status).toBe(200);
    expect((await ann.ask("GET /v2/")).status).toBe(401);
    expect((await robot.ask("GET /v2/")).status).toBe(401);
    expect(await base(shown.ann)).toBe(401);
    await disable("accounts", "ann", false);
    await disable("robots", "ci", false);
    expect((await ann.ask("GET /v2/")).status).toBe(200);
    for (const { socket } of [ann, bob, robot]) socket.destroy();
  });

  test("count in what is remembered of answers for their owner alone", async () => {
    for (const name of ["ann", "bob"])
      expect((await api("POST", "/repositories", { name: `${name}/app` })).status).toBeLessThan(300);
    const dialled = { ann: await dial(shown.ann), bob: await dial(shown.bob), none: await dial() };
    for (let round = 0; round < 3; round++) {
      for (const name of ["ann", "bob"] as const) {
        const { body } = await dialled[name].ask("GET /v2/_catalog");
        expect(JSON.parse(body)).toEqual({ repositories: [`${name}/app`] });
      }
      expect((await dialled.none.ask("GET /v2/_catalog")).status).toBe(401);
    }
    for (const { socket } of Object.values(dialled)) socket.destroy();
  });

  test("come along in a session of TLS that is taken up again, and are judged anew there", async () => {
    const first = await dial(shown.ann);
    const ticket = new Promise<Buffer>((done) => first.socket.once("session", done));
    expect((await first.ask("GET /v2/")).status).toBe(200);
    const session = await ticket;
    first.socket.destroy();
    const again = await dial(undefined, server, session);
    expect(again.socket.isSessionReused()).toBe(true);
    expect(nameIn(await again.ask(me))).toBe("ann");
    await disable("accounts", "ann", true);
    expect((await again.ask("GET /v2/")).status).toBe(401);
    const third = await dial(undefined, server, session);
    expect((await third.ask("GET /v2/")).status).toBe(401);
    await disable("accounts", "ann", false);
    for (const { socket } of [again, third]) socket.destroy();
  });

  test("have to be signed by who is in the file now, also on connections that stand", async () => {
    const ann = await dial(shown.ann);
    expect((await ann.ask("GET /v2/")).status).toBe(200);
    await writeFile(caFile(), await readFile(other.certFile));
    await untilRenewed(1);
    expect((await ann.ask("GET /v2/")).status).toBe(401);
    expect(nameIn(await ask(shown.foreign, me))).toBe("ann");
    await writeFile(caFile(), "nothing");
    await untilRenewed(1, "client authorities not renewed");
    expect(nameIn(await ask(shown.foreign, me))).toBe("ann");
    await writeFile(caFile(), await readFile(authority.certFile));
    await untilRenewed(2);
    expect((await ann.ask("GET /v2/")).status).toBe(200);
    expect(await base(shown.foreign)).toBe(401);
    ann.socket.destroy();
  }, 120_000);

  test("let nobody in who comes to the server behind by another way", async () => {
    const ports = (await listeningPorts(server.pid)).filter((port) => port !== Number(new URL(server.url).port));
    expect(ports.length).toBeGreaterThan(0);
    for (const port of ports) {
      const answer = await fetch(`http://127.0.0.1:${port}/healthz`, { headers: { authorization: admin() } });
      expect(answer.status).toBe(403);
    }
  });

  test("are in the metrics and in the audit log", async () => {
    await base(shown.ann);
    await base(shown.foreign);
    const socket = await Bun.connect({
      hostname: "127.0.0.1",
      port: Number(new URL(server.url).port),
      socket: { data: () => undefined },
    });
    socket.end("GET / HTTP/1.1\r\n\r\n");
    const read = async () =>
      (await fetch(new URL("/metrics", server.url), { tls: { rejectUnauthorized: false } })).text();
    for (const wanted of [
      /berth_client_certificate_identities_total\{outcome="accepted"\} [1-9]/,
      /berth_client_certificate_identities_total\{outcome="refused"\} [1-9]/,
      /berth_tls_handshakes_failed_total [1-9]/,
    ]) {
      for (const deadline = Date.now() + 20_000; !wanted.test(await read()) && Date.now() < deadline;)
        await Bun.sleep(50);
      expect(await read()).toMatch(wanted);
    }
    for (const deadline = Date.now() + 20_000; !(await signIns()).includes("127.0.0.1") && Date.now() < deadline;)
      await Bun.sleep(50);
    expect(await signIns()).toContain(`"address":"127.0.0.1"`);
  }, 60_000);

  test("are asked of everyone where they are required, in each process, and by themselves say nothing", async () => {
    await using strict = await startServer({
      env: { ...settings(), BERTH_ACCESS_CLIENT_CERTIFICATES_REQUIRED: "true", BERTH_HTTP_WORKERS: "2" },
    });
    const auth = `Authorization: ${basic(strict.admin.username, strict.admin.password)}`;
    for (let round = 0; round < 6; round++) {
      const [good, foreign, none] = [
        await dial(shown.boss, strict),
        await dial(shown.foreign, strict),
        await dial(undefined, strict),
      ];
      expect((await good.ask("GET /v2/")).status).toBe(401);
      expect((await good.ask("GET /v2/", auth)).status).toBe(200);
      for (const refused of [foreign, none]) {
        for (const path of ["/v2/", "/api/v1/me", "/token", "/sign-in", "/"])
          expect((await refused.ask(`GET ${path}`, auth)).status).toBe(403);
        expect((await refused.ask("GET /healthz")).status).toBe(200);
      }
      for (const { socket } of [good, foreign, none]) socket.destroy();
    }
    expect(await strict.stop()).toBe(0);
  }, 60_000);

  const skopeo = Bun.which("skopeo") === null ? "skopeo is not installed" : undefined;
  requirement("skopeo with a certificate", skopeo, () => {
    test("pushes and pulls with no other credentials, and the server's certificate is renewed meanwhile", async () => {
      const certificates = join(folder, "certs");
      await mkdir(certificates, { recursive: true });
      await copyFile(authority.certFile, join(certificates, "ca.crt"));
      await copyFile(shown.ann.certFile, join(certificates, "client.cert"));
      await copyFile(shown.ann.keyFile, join(certificates, "client.key"));
      const digest = await writeImage(join(folder, "image"));
      const host = `localhost:${new URL(server.url).port}`;
      await copy("--dest-cert-dir", certificates, `oci:${join(folder, "image")}:1`, `docker://${host}/ann/image:1`);
      const renewed = await authority.issue("server", {
        subject: "/CN=renewed",
        alternativeNames: "DNS:localhost,IP:127.0.0.1",
      });
      expect(renewed.certFile).toBe(own.certFile);
      const nameMet = async (): Promise<string> => {
        const { socket } = await dial(shown.ann);
        const { subject } = socket.getPeerCertificate();
        socket.destroy();
        return String(subject.CN);
      };
      const isRenewed = () => server.log().some(({ event }) => event === "certificate renewed");
      for (const deadline = Date.now() + 30_000; !isRenewed() && Date.now() < deadline;) await Bun.sleep(20);
      expect(isRenewed()).toBe(true);
      await copy("--src-cert-dir", certificates, `docker://${host}/ann/image:1`, `oci:${join(folder, "back")}:1`);
      expect(sha256(await readFile(join(folder, "back/blobs/sha256", digest)))).toBe(digest);
      expect(await nameMet()).toBe("renewed");
    }, 120_000);
  });
});

const nameIn = ({ body }: Answered): unknown => (JSON.parse(body) as { readonly name?: unknown }).name;

async function copy(...args: readonly string[]): Promise<void> {
  const child = Bun.spawn(["skopeo", "copy", "--insecure-policy", "--quiet", ...args], { stderr: "pipe" });
  const said = await new Response(child.stderr).text();
  expect(await child.exited, said).toBe(0);
}

/** One answer that has a length, on a connection that goes on. */
function answerOn(socket: TLSSocket): Promise<Answered> {
  const { promise, resolve, reject } = Promise.withResolvers<Answered>();
  let received = Buffer.alloc(0);
  const gone = (): void => reject(new Error(`the connection ended after ${received.length} bytes`));
  const read = (data: Buffer): void => {
    received = Buffer.concat([received, data]);
    const end = received.indexOf("\r\n\r\n");
    const head = received.toString("latin1", 0, Math.max(0, end));
    const length = Number(/^content-length: (\d+)/im.exec(head)?.[1] ?? 0);
    if (end === -1 || received.length < end + 4 + length) return;
    socket.off("data", read).off("close", gone);
    resolve({ status: Number(/^HTTP\/1\.1 (\d+)/.exec(head)?.[1]), body: received.toString("utf8", end + 4) });
  };
  socket.on("data", read).once("close", gone);
  return promise;
}
