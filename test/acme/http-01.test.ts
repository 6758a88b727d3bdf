import { afterAll, beforeAll, expect, it } from "bun:test";
import { readdir, stat } from "node:fs/promises";
import { join, resolve } from "node:path";
import { run } from "../../scripts/proof/run.ts";
import { requirement } from "../support/requirement.ts";
import type { TestServer } from "../support/server.ts";
import { askAnyway, host, startAcmeServer, until, untilLogged } from "./acme-server.ts";
import { missingPebble, type Pebble, preparePebble } from "./pebble.ts";

const berth = resolve(import.meta.dir, "../../bin/berth");

requirement("http-01", missingPebble, () => {
  let pebble: Pebble;
  let server: TestServer;
  beforeAll(async () => {
    pebble = await preparePebble({ nonceRejects: 30 });
    server = await startAcmeServer(pebble, "http-01");
  }, 240_000);
  afterAll(async () => {
    await server[Symbol.asyncDispose]();
    await pebble[Symbol.asyncDispose]();
  });

  const readiness = async (): Promise<unknown> => (await askAnyway(server, "/readyz")).json();
  const plain = (path: string, ...more: readonly string[]) =>
    run(["curl", "--silent", "--include", ...more, `http://127.0.0.1:${pebble.httpPort}${path}`], { cwd: server.data });

  const status = (data: string) => {
    const settings = { BERTH_TLS_ACME_HOSTS: host, BERTH_TLS_ACME_AGREE_TO_TERMS: "true" };
    const env = { ...settings, BERTH_TLS_ACME_DIRECTORY_URL: pebble.directoryUrl };
    return run([berth, "tls", "status", "--data", data], { cwd: data, env });
  };

  it("serves while the authority is down, and says what it lacks", async () => {
    await untilLogged(server, "certificate not obtained");
    expect((await askAnyway(server, "/healthz")).status).toBe(200);
    await until("the reason", async () => JSON.stringify(await readiness()).includes("the authority gave none"));
    const told = await status(server.data);
    expect(told.output).toMatch(/^problem +there is none yet$/m);
    expect(told.output).toMatch(/^last failure +\S+: https:\/\/127\.0\.0\.1:\d+: .* \(\d in a row\)$/m);
    expect(told.exitCode).toBe(1);
    expect(await readiness()).toEqual({
      ready: false,
      reasons: [
        {
          check: "certificate",
          reason: "there is no certificate yet, and the authority gave none; the log has more",
        },
      ],
    });
  }, 240_000);

  it("has its certificate as soon as the authority is back", async () => {
    await pebble.start();
    await untilLogged(server, "certificate renewed");
    await until("ready", async () => ((await readiness()) as { ready: boolean }).ready);
    await Bun.write(join(server.data, "root.pem"), await pebble.root());
    // The makeshift is met with for a moment more.
    const { port } = new URL(server.url);
    const trusting = ["--cacert", join(server.data, "root.pem"), "--resolve", `${host}:${port}:127.0.0.1`];
    await until("a certificate that is believed", async () => {
      const { exitCode } = await run(["curl", "--silent", ...trusting, `https://${host}:${port}/healthz`], {
        cwd: server.data,
      });
      return exitCode === 0;
    });
  }, 240_000);

  it("keeps what it has for itself alone", async () => {
    const [name = ""] = await readdir(join(server.data, "acme"));
    const folder = join(server.data, "acme", name);
    const names = await readdir(folder);
    expect(names.toSorted()).toEqual(["account.json", "certificate.pem", "status.json"]);
    for (const path of [folder, ...names.map((one) => join(folder, one))])
      expect((await stat(path)).mode & 0o077, path).toBe(0);
  });

  it("leads from the plain port to https, and takes nothing there", async () => {
    const led = await plain("/v2/a/b/manifests/c?x=1", "--header", `Host: ${host}`);
    expect(led.output).toStartWith("HTTP/1.1 308");
    expect(led.output).toContain(`Location: https://${host}:${pebble.tlsPort}/v2/a/b/manifests/c?x=1\r\n`);
    for (const method of ["POST", "PUT", "PATCH", "DELETE"]) {
      const refused = await plain(
        "/v2/a/blobs/uploads/",
        "--header",
        `Host: ${host}`,
        "--request",
        method,
        "--data",
        "x",
      );
      expect(refused.output).toStartWith("HTTP/1.1 405");
    }
    // Neither names that are not ours, nor an answer to a question that nobody has asked.
    for (const path of ["/v2/", "/.well-known/acme-challenge/x", "/.well-known/acme-challenge/..%2f..%2fsecret"])
      expect((await plain(path, "--header", "Host: evil.example")).output).toStartWith("HTTP/1.1 404");
    expect((await plain("/token", "--header", `Host: ${host}`, "--user", "a:b")).output).not.toMatch(
      /www-authenticate/i,
    );
  });

  it("tells of it on the command line", async () => {
    const { output, exitCode } = await status(server.data);
    expect(output).toMatch(new RegExp(`^for +DNS:${host}$`, "m"));
    expect(output).toMatch(/^issued by +CN=Pebble Intermediate/m);
    expect(output).toMatch(/^next attempt +2/m);
    expect(output).not.toContain("failure");
    expect(exitCode).toBe(0);
  });

  it("starts with the kept certificate and asks nobody", async () => {
    await server.stop();
    await pebble.stop();
    const again = await startAcmeServer(pebble, "http-01", { data: server.data });
    try {
      expect(((await (await askAnyway(again, "/readyz")).json()) as { ready: boolean }).ready).toBe(true);
      const metrics = await (await askAnyway(again, "/metrics")).text();
      expect(metrics).toMatch(/^berth_tls_certificate_expiry_timestamp_seconds \d+/m);
      expect(metrics).toMatch(/^berth_acme_failures 0$/m);
      expect(metrics).toMatch(/^berth_acme_next_attempt_timestamp_seconds \d+/m);
      expect(again.log().some(({ event }) => event === "certificate not obtained")).toBe(false);
    } finally {
      await again.stop("SIGKILL");
    }
  }, 240_000);
});
