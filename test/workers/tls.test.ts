import { afterAll, beforeAll, expect, it } from "bun:test";
import { copyFile, mkdtemp, rename, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { connect } from "node:tls";
import { run } from "../../scripts/proof/run.ts";
import { startServer, type TestServer } from "../support/server.ts";
import { until, untilLogged } from "../support/workers.ts";

const berth = resolve(import.meta.dir, "../../bin/berth");
let folder = "";
const at = (name: string): string => join(folder, name);

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "berth-workers-tls-"));
  for (const name of ["first", "second"]) {
    const { exitCode, output } = await run([berth, "tls", "self-signed", "--host", "127.0.0.1", "--out", name], {
      cwd: folder,
    });
    expect(exitCode, output).toBe(0);
  }
}, 60_000);
afterAll(() => rm(folder, { recursive: true, force: true }));

/** Puts a pair in its place, each file at once. */
async function install(name: string): Promise<void> {
  for (const kind of ["crt", "key"]) {
    await copyFile(at(`${name}/berth.${kind}`), at(`next.${kind}`));
    await rename(at(`next.${kind}`), at(`used.${kind}`));
  }
}

/** What a new connection is met with, and whether it was answered. */
function ask(server: TestServer): Promise<{ readonly fingerprint: string; readonly answer: string }> {
  const [host = "", port] = server.host.split(":");
  return new Promise((done) => {
    let answer = "";
    let fingerprint = "";
    const socket = connect({ host, port: Number(port), rejectUnauthorized: false }, () => {
      ({ fingerprint } = socket.getPeerCertificate());
      socket.write(`GET /healthz HTTP/1.1\r\nHost: ${server.host}\r\nConnection: close\r\n\r\n`);
    });
    socket.on("data", (chunk: Buffer) => (answer += chunk.toString("latin1")));
    socket.on("error", (error) => (answer += String(error)));
    socket.on("close", () => done({ fingerprint, answer: answer.slice(0, 15) }));
  });
}

it("every worker follows the certificate's files, and no connection is lost meanwhile", async () => {
  await install("first");
  await using server = await startServer({
    env: {
      BERTH_HTTP_WORKERS: "2",
      BERTH_TLS_CERT_FILE: at("used.crt"),
      BERTH_TLS_KEY_FILE: at("used.key"),
      BERTH_TLS_CHECK_SECONDS: "1",
    },
  });
  expect(server.url).toStartWith("https://");
  const before = (await ask(server)).fingerprint;
  const stop = { asked: false };
  const answers: string[] = [];
  const clients = Array.from({ length: 3 }, async () => {
    while (!stop.asked) answers.push((await ask(server)).answer);
  });
  await install("second");
  for (const name of [1, 2])
    await untilLogged(server, "certificate renewed", { fits: ({ worker }) => worker === name });
  await until("only the new one is met", async () => {
    const met = await Promise.all(Array.from({ length: 12 }, () => ask(server)));
    return met.every(({ fingerprint }) => fingerprint !== before && fingerprint !== "");
  });
  stop.asked = true;
  await Promise.all(clients);
  expect(answers.filter((answer) => answer !== "HTTP/1.1 200 OK")).toEqual([]);
  expect(answers.length).toBeGreaterThan(20);
  expect(await server.stop()).toBe(0);
}, 120_000);

it("workers and a validation that any of them would meet do not start together", async () => {
  const env = {
    BERTH_HTTP_WORKERS: "2",
    BERTH_TLS_ACME_HOSTS: "registry.example.org",
    BERTH_TLS_ACME_AGREE_TO_TERMS: "true",
  };
  const { exitCode, output } = await run([berth, "config", "check"], { cwd: folder, env });
  expect([exitCode, output]).toEqual([2, expect.stringContaining("tls.acme.challenge: must be http-01")]);
  const other = await run([berth, "config", "check"], {
    cwd: folder,
    env: { ...env, BERTH_TLS_ACME_CHALLENGE: "http-01" },
  });
  expect([other.exitCode, other.output]).toEqual([0, expect.stringContaining("ok")]);
}, 60_000);
