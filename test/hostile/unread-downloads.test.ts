import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtemp, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { run } from "../../scripts/proof/run.ts";
import { digestOf } from "../protocol/content.ts";
import { missingProcessTable, openFiles, processListeningOn } from "../protocol/server-process.ts";
import { requirement } from "../support/requirement.ts";
import { startServer, type TestServer } from "../support/server.ts";
import { openSocket } from "./wire.ts";

const missing = ["curl", "openssl", "node"].find((program) => Bun.which(program) === null);
const stallSeconds = 14;
const bytes = Buffer.alloc(48 << 20, "unread");
const digest = digestOf(bytes);
const blob = `/v2/slow/app/blobs/${digest}`;
const limitMs = 120_000;

const used = new AsyncDisposableStack();
let folder = "";
let plain: TestServer;
let secure: TestServer;

async function start(env: Readonly<Record<string, string>> = {}): Promise<TestServer> {
  const patience = { BERTH_HTTP_STALL_SECONDS: String(stallSeconds), BERTH_HTTP_IDLE_SECONDS: "8" };
  return used.use(await startServer({ env: { BERTH_ACCESS_MODE: "open", ...patience, ...env } }));
}

async function push({ url }: TestServer): Promise<void> {
  const target = `${url}/v2/slow/app/blobs/uploads/?digest=${digest}`;
  const { output, exitCode } = await run(
    ["curl", "--silent", "--fail", "--insecure", "--request", "POST", "--data-binary", "@blob", target],
    { cwd: folder },
  );
  expect(exitCode, output).toBe(0);
}

async function until(what: string, isSo: () => boolean | Promise<boolean>): Promise<void> {
  for (const end = performance.now() + limitMs / 2; !(await isSo()); await Bun.sleep(100)) {
    if (performance.now() > end) throw new Error(`not in time: ${what}`);
  }
}

const cutsOf = (server: TestServer, address: string): number =>
  server.log().filter(({ event, remoteAddress }) => event === "download cut" && remoteAddress === address).length;

/** A curl that comes from an address of its own, once it has begun to read. */
async function startCurl(address: string, ...args: readonly string[]) {
  const output = join(folder, address);
  const child = Bun.spawn(["curl", "--silent", "--insecure", "--interface", address, "--output", output, ...args], {
    stdout: "ignore",
    stderr: "ignore",
  });
  const read = async (): Promise<number> => (await stat(output).catch(() => undefined))?.size ?? 0;
  await until("curl's first bytes", async () => (await read()) > 0);
  return { child, read };
}

beforeAll(async () => {
  if (missing !== undefined) return;
  folder = await mkdtemp(join(tmpdir(), "berth-unread-"));
  used.defer(() => rm(folder, { recursive: true, force: true }));
  await Bun.write(join(folder, "blob"), bytes);
  const [cert, key] = [join(folder, "tls.crt"), join(folder, "tls.key")];
  const request = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=127.0.0.1 -days 2".split(" ");
  const made = await run(["openssl", ...request, "-keyout", key, "-out", cert], { cwd: folder });
  expect(made.exitCode, made.output).toBe(0);
  [plain, secure] = await Promise.all([start(), start({ BERTH_TLS_CERT_FILE: cert, BERTH_TLS_KEY_FILE: key })]);
  await Promise.all([push(plain), push(secure)]);
}, limitMs);
afterAll(() => used.disposeAsync());

requirement("a download", missingProcessTable ?? (missing && `there is no ${missing}`), () => {
  const ranges: Readonly<Record<string, readonly [string, string]>> = {
    "127.0.7.1": ["a whole file", ""],
    "127.0.7.2": ["a part of a file", "Range: bytes=5-40000000\r\n"],
    "127.0.7.3": ["several parts of a file", "Range: bytes=0-20000000,20000010-40000000\r\n"],
    // Too little for the server to hear of it again: the kernel takes what is left.
    "127.0.7.4": ["a part that almost fits into the kernel", "Range: bytes=0-6000000\r\n"],
  };
  for (const [address, [name, range]] of Object.entries(ranges)) {
    test.concurrent(
      `of which nothing is read is ended: ${name}`,
      async () => {
        const socket = await openSocket(plain.host, address);
        const closed = Promise.withResolvers<string>();
        socket.on("error", ({ name: kind }) => closed.resolve(kind));
        socket.on("close", () => closed.resolve("close"));
        const started = performance.now();
        socket.write(`GET ${blob} HTTP/1.1\r\nHost: ${plain.host}\r\n${range}\r\n`);
        await until("the end of the download", () => cutsOf(plain, address) === 1);
        expect(performance.now() - started).toBeGreaterThan(stallSeconds * 1000 * 0.95);
        socket.resume();
        await closed.promise;
      },
      limitMs,
    );
  }

  for (const [address, version] of [
    ["127.0.7.5", "--http1.1"],
    ["127.0.7.6", "--http2"],
  ] as const) {
    test.concurrent(
      `of which nothing is read is ended: over TLS, curl ${version}`,
      async () => {
        const { child, read } = await startCurl(address, version, "--limit-rate", "100k", `${secure.url}${blob}`);
        child.kill("SIGSTOP");
        await until("the end of the download", () => cutsOf(secure, address) === 1);
        child.kill("SIGCONT");
        expect(await child.exited).not.toBe(0);
        expect(await read()).toBeLessThan(bytes.length);
      },
      limitMs,
    );
  }

  // Readers make room for more in steps of 64 KiB and more on the loopback, so that is how seldom the kernel hears of them.
  // The runtime's own clock, which sees less, ends the one over HTTP/2 after 12 seconds where it is not held.
  for (const [address, kind, bytesPerSecond, of] of [
    ["127.0.7.7", "plain", 12 * 1024, () => plain],
    ["127.0.7.8", "tls", 32 * 1024, () => secure],
    ["127.0.7.9", "h2", 8 * 1024, () => secure],
  ] as const) {
    test.concurrent(
      `that is read slowly goes on: ${kind}`,
      async () => {
        const script = join(import.meta.dir, "slow-reader.mjs");
        const command = ["node", script, kind, `${of().url}${blob}`, address, String(bytesPerSecond)];
        const child = Bun.spawn(command, { stdout: "pipe", stderr: "inherit" });
        await Bun.sleep(30_000);
        expect(child.exitCode).toBeNull();
        expect(cutsOf(of(), address)).toBe(0);
        child.kill("SIGKILL");
        const told = (await new Response(child.stdout).text()).trim().split("\n").map(Number);
        // It read all the while: more after the half of its time than before.
        expect(told.at(-1)).toBeGreaterThan((told[Math.floor(told.length / 2)] ?? 0) + bytesPerSecond);
      },
      limitMs,
    );
  }

  test("that is over leaves nothing open, and those that were ended are counted", async () => {
    const text = await (await fetch(new URL("/metrics", plain.url))).text();
    expect(text).toContain("\nberth_http_downloads_cut_total 4\n");
    const pid = await processListeningOn(plain.host);
    const before = await openFiles(pid);
    for (let pull = 0; pull < 20; pull += 1) await (await fetch(new URL(blob, plain.url))).arrayBuffer();
    await until("as many open files as before", async () => (await openFiles(pid)) <= before + 2);
  });
});
