import { afterAll, beforeAll, describe, expect, it } from "bun:test";
import { randomBytes } from "node:crypto";
import { copyFile, mkdir, mkdtemp, rename, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { connect } from "node:tls";
import { run } from "../scripts/proof/run.ts";
import { digestOf } from "./protocol/content.ts";
import { requirement } from "./support/requirement.ts";
import { startServer, type TestServer } from "./support/server.ts";

const berth = resolve(import.meta.dir, "../bin/berth");
const missing = ["openssl", "curl"].find((program) => Bun.which(program) === null);

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "berth-tls-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const at = (name: string): string => join(folder, name);

async function succeed(...command: readonly string[]): Promise<string> {
  const { output, exitCode } = await run(command, { cwd: folder });
  expect(exitCode, output).toBe(0);
  return output;
}

const newKey = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"] as const;

const makeAuthority = (): Promise<string> =>
  succeed(
    "openssl",
    "req",
    "-x509",
    ...newKey,
    "-keyout",
    "ca.key",
    "-out",
    "ca.crt",
    "-subj",
    "/CN=Test CA",
    "-days",
    "9",
  );

/** NAME.crt and NAME.key: a certificate for this machine, signed by the authority. */
async function issue(name: string): Promise<void> {
  await succeed("openssl", "req", ...newKey, "-keyout", `${name}.key`, "-out", `${name}.csr`, "-subj", `/CN=${name}`);
  await Bun.write(at("san.cnf"), "subjectAltName=DNS:localhost,IP:127.0.0.1\n");
  const signing = ["-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-days", "5", "-extfile", "san.cnf"];
  await succeed("openssl", "x509", "-req", "-in", `${name}.csr`, "-out", `${name}.crt`, ...signing);
}

/** As a renewal program does it: a new file in the old one's place. */
async function install(name: string, ends: readonly string[] = ["crt", "key"]): Promise<void> {
  for (const end of ends) {
    await copyFile(at(`${name}.${end}`), at(`new.${end}`));
    await rename(at(`new.${end}`), at(`tls.${end}`));
  }
}

const settings = (): Record<string, string> => ({
  BERTH_TLS_CERT_FILE: at("tls.crt"),
  BERTH_TLS_KEY_FILE: at("tls.key"),
  BERTH_TLS_CHECK_SECONDS: "1",
});

/** The name in the certificate that a new connection is met with. */
function certificateOf(server: TestServer): Promise<string> {
  const { promise, resolve: found, reject } = Promise.withResolvers<string>();
  const socket = connect(
    { host: "127.0.0.1", port: Number(new URL(server.url).port), rejectUnauthorized: false },
    () => {
      found(String(socket.getPeerCertificate().subject.CN));
      socket.destroy();
    },
  );
  socket.on("error", reject);
  return promise;
}

async function untilLogged(server: TestServer, event: string, times = 1): Promise<void> {
  const count = (): number => server.log().filter((line) => line.event === event).length;
  for (const deadline = Date.now() + 15_000; count() < times; await Bun.sleep(10)) {
    if (Date.now() > deadline) throw new Error(`"${event}" is not in the log ${times} times`);
  }
}

const credentials = ({ admin }: TestServer): string => `${admin.username}:${admin.password}`;

const curl = (server: TestServer, path: string, ...more: readonly string[]): Promise<string> =>
  succeed("curl", "--silent", "--show-error", "--cacert", "ca.crt", ...more, `${server.url}${path}`);

requirement("TLS", missing && `${missing} is not installed`, () => {
  beforeAll(async () => {
    await makeAuthority();
    for (const name of ["first", "second", "third"]) await issue(name);
  });

  describe("a server with a certificate", () => {
    let server: TestServer;
    beforeAll(async () => {
      await install("first");
      server = await startServer({ env: settings() });
    }, 30_000);
    afterAll(() => server[Symbol.asyncDispose]());

    for (const version of ["1.1", "2"]) {
      it(`speaks HTTP/${version}, and sends clients to its token service over https`, async () => {
        const answer = await curl(server, "/v2/", `--http${version}`, "--include");
        expect(server.url).toStartWith("https://");
        expect(answer).toStartWith(`HTTP/${version} 401`);
        expect(answer.toLowerCase()).toContain(`www-authenticate: bearer realm="${server.url}/token"`);
        expect((await curl(server, "/readyz", `--http${version}`)).trim()).toBe('{"ready":true,"reasons":[]}');
      });

      it(`takes a streamed upload over HTTP/${version}, and gives it back whole and in part`, async () => {
        const bytes = randomBytes(3_000_000);
        const digest = digestOf(bytes);
        await Bun.write(at("blob"), bytes);
        const client = [`--http${version}`, "--user", credentials(server), "--fail"];
        const started = await curl(server, "/v2/team/app/blobs/uploads/", ...client, "--include", "--request", "POST");
        const [, location = ""] = /^location: (\S+)/im.exec(started) ?? [];
        // From standard input curl knows no length.
        const script = `curl --silent --cacert ca.crt ${client.join(" ")} --request PATCH --upload-file - '${server.url}${location}' <blob`;
        await succeed("bash", "-c", script);
        await curl(server, `${location}?digest=${digest}`, ...client, "--request", "PUT");
        const path = `/v2/team/app/blobs/${digest}`;
        await curl(server, path, ...client, "--output", "back");
        expect(digestOf(await Bun.file(at("back")).bytes())).toBe(digest);
        await curl(server, path, ...client, "--output", "part", "--range", "1000-2000999");
        expect(bytes.subarray(1000, 2_001_000).equals(await Bun.file(at("part")).bytes())).toBe(true);
        const outside = await curl(server, "/v2/a/%2e%2e/team/app/tags/list", `--http${version}`, "--path-as-is");
        expect(outside).toContain("NAME_INVALID");
      }, 30_000);
    }

    it("serves HTTP/2 to those whom it sends away, too", async () => {
      await using leaving = await startServer({ env: { ...settings(), BERTH_SHUTDOWN_NOTICE_SECONDS: "3" } });
      const stopped = leaving.stop();
      await untilLogged(leaving, "stopping");
      const urls = [`${leaving.url}/healthz`, `${leaving.url}/healthz`];
      const answers = await succeed("curl", "--silent", "--fail", "--http2", "--cacert", "ca.crt", ...urls);
      expect(answers.trim()).toBe('{"status":"ok"}{"status":"ok"}');
      expect(await stopped).toBe(0);
    }, 30_000);

    it("tells when its certificate expires", async () => {
      const metrics = await curl(server, "/metrics");
      const [, seconds] = /^berth_tls_certificate_expiry_timestamp_seconds (\S+)$/m.exec(metrics) ?? [];
      expect(Math.abs(Number(seconds) * 1000 - Date.now() - 5 * 86_400_000)).toBeLessThan(600_000);
      expect(server.log().some(({ event }) => event === "certificate expires soon")).toBe(true);
    });

    it("keeps its port to itself", async () => {
      const second = startServer({ env: settings(), addr: server.host });
      const [result] = await Promise.allSettled([second]);
      expect(result.status).toBe("rejected");
      expect(String((result as PromiseRejectedResult).reason)).toContain("http.addr: cannot listen on");
    }, 30_000);
  });

  describe("renewal", () => {
    it("is seen without a restart, and a loaded server goes on", async () => {
      await install("first");
      await using server = await startServer({ env: settings() });
      const ca = await Bun.file(at("ca.crt")).text();
      const tally = { running: true, answered: 0, failed: [] as string[] };
      const client = async (headers: Record<string, string>): Promise<void> => {
        while (tally.running) {
          try {
            const answer = await fetch(`${server.url}/healthz`, { headers, tls: { ca } });
            await answer.arrayBuffer();
            if (answer.status === 200) tally.answered++;
            else tally.failed.push(String(answer.status));
          } catch (error) {
            tally.failed.push(String(error));
          }
        }
      };
      // Every second one opens a connection for each request: those are who meets the change.
      const clients = [{ connection: "close" }, {}, { connection: "close" }, {}].map(client);
      // An upload from before the first renewal to after its old server has gone.
      const authorization = `Basic ${btoa(credentials(server))}`;
      const upload = `${server.url}/v2/team/app/blobs/uploads/?digest=${digestOf(Buffer.alloc(600))}`;
      const long = fetch(upload, { method: "POST", headers: { authorization }, body: slowBody(60), tls: { ca } });
      for (const [round, name] of ["second", "third", "first"].entries()) {
        await install(name);
        await untilLogged(server, "certificate renewed", round + 1);
        const names = await Promise.all(Array.from({ length: 10 }, () => certificateOf(server)));
        expect(new Set(names)).toEqual(new Set([name]));
      }
      tally.running = false;
      await Promise.all(clients);
      expect(tally.failed).toEqual([]);
      expect(tally.answered).toBeGreaterThan(500);
      expect((await long).status).toBe(201);
      expect(await server.stop()).toBe(0);
    }, 60_000);

    it("waits for the key that belongs to the certificate, and goes on with the old pair", async () => {
      await install("first");
      await using server = await startServer({ env: settings() });
      await install("second", ["crt"]);
      await untilLogged(server, "certificate not renewed");
      expect(await certificateOf(server)).toBe("first");
      await install("second", ["key"]);
      await untilLogged(server, "certificate renewed");
      expect(await certificateOf(server)).toBe("second");
    }, 60_000);
  });

  describe("a server does not start", () => {
    const cases: Readonly<Record<string, readonly [cert: string | undefined, key: string | undefined, told: string]>> =
      {
        "with the key of another certificate": ["first.crt", "second.key", "tls.keyFile: "],
        "with a file that is not there": ["nothing.crt", "first.key", "tls.certFile: ENOENT"],
        "with a key in the certificate's place": ["first.key", "first.key", "tls.certFile: "],
        "with a certificate in the key's place": ["first.crt", "first.crt", "tls.keyFile: "],
        "with one of the two": ["first.crt", undefined, "tls.certFile: needs tls.keyFile too"],
      };
    for (const [name, [cert, key, told]] of Object.entries(cases)) {
      it(
        name,
        async () => {
          const data = at("never-made");
          const env = {
            ...process.env,
            BERTH_TLS_CERT_FILE: cert && at(cert),
            BERTH_TLS_KEY_FILE: key && at(key),
          };
          const child = Bun.spawn([berth, "serve", "--addr", "127.0.0.1:0", "--data", data], { env, stderr: "pipe" });
          expect(await new Response(child.stderr).text()).toStartWith(`berth: ${told}`);
          expect(await child.exited).toBe(2);
          expect(await Bun.file(join(data, "lock")).exists()).toBe(false);
        },
        30_000,
      );
    }
  });

  describe("berth tls self-signed", () => {
    it("makes what curl and openssl believe, and tells the client's steps", async () => {
      const output = await succeed(berth, "tls", "self-signed", "--host", "localhost", "127.0.0.1", "--out", "own");
      await succeed("openssl", "verify", "-CAfile", "own/berth.crt", "-verify_hostname", "localhost", "own/berth.crt");
      for (const line of [
        "mkdir -p '/etc/docker/certs.d/localhost:5000'",
        "cp berth.crt '/etc/containers/certs.d/localhost:5000/ca.crt'",
        'server = "https://localhost:5000"',
        "update-ca-certificates",
      ]) {
        expect(output).toContain(line);
      }
      expect((await succeed("stat", "--format=%a", "own/berth.key")).trim()).toBe("600");
      const env = { BERTH_TLS_CERT_FILE: at("own/berth.crt"), BERTH_TLS_KEY_FILE: at("own/berth.key") };
      await using server = await startServer({ env });
      for (const host of ["localhost", "127.0.0.1"]) {
        const url = server.url.replace("127.0.0.1", host);
        await succeed("curl", "--silent", "--fail", "--cacert", "own/berth.crt", `${url}/healthz`);
      }
    }, 30_000);

    it("replaces nothing unless it is told to", async () => {
      const command = [berth, "tls", "self-signed", "--host", "a.lan", "--out", "kept"];
      await succeed(...command);
      const before = await Bun.file(at("kept/berth.key")).text();
      const again = await run(command, { cwd: folder });
      expect(again.exitCode).toBe(2);
      expect(again.output).toContain("is there already; --force replaces it");
      expect(await Bun.file(at("kept/berth.key")).text()).toBe(before);
      await succeed(...command, "--force");
      expect(await Bun.file(at("kept/berth.key")).text()).not.toBe(before);
    });

    it("refuses what is no host", async () => {
      for (const host of ["no host", "-a", "https://a.lan", "fe80::1%eth0", "a".repeat(64)]) {
        const { exitCode } = await run([berth, "tls", "self-signed", `--host=${host}`, "--out", "none"], {
          cwd: folder,
        });
        expect(exitCode, host).not.toBe(0);
      }
      expect(await Bun.file(at("none/berth.key")).exists()).toBe(false);
    });
  });
});

requirement("skopeo", missing ?? (Bun.which("skopeo") === null ? "skopeo is not installed" : undefined), () => {
  it("believes a self-signed certificate that lies where the steps put it", async () => {
    await succeed(berth, "tls", "self-signed", "--host", "127.0.0.1", "--out", "lan");
    const env = { BERTH_TLS_CERT_FILE: at("lan/berth.crt"), BERTH_TLS_KEY_FILE: at("lan/berth.key") };
    await using server = await startServer({ env });
    await mkdir(at("certs"));
    await copyFile(at("lan/berth.crt"), at("certs/ca.crt"));
    const login = (...more: readonly string[]) => {
      const [username, password] = [`--username=${server.admin.username}`, `--password=${server.admin.password}`];
      return run(["skopeo", "login", "--authfile", at("auth"), username, password, ...more, server.host], {
        cwd: folder,
      });
    };
    expect((await login()).exitCode).not.toBe(0);
    const trusting = await login(`--cert-dir=${at("certs")}`);
    expect(trusting.exitCode, trusting.output).toBe(0);
  }, 30_000);
});

async function* slowBody(pieces: number): AsyncGenerator<Uint8Array> {
  for (let piece = 0; piece < pieces; piece++) {
    yield Buffer.alloc(10);
    await Bun.sleep(100);
  }
}
