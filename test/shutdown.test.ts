import { describe, expect, it } from "bun:test";
import { createHash, randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { digestOf, pushBlob, startUpload } from "./protocol/content.ts";
import { freshRepository, registryOf, withQuery } from "./protocol/registry-client.ts";
import { startServer, type TestServer } from "./support/server.ts";

async function* slowly(bytes: Buffer, pieces: number, pauseMs: number): AsyncGenerator<Uint8Array> {
  const size = Math.ceil(bytes.length / pieces);
  for (let at = 0; at < bytes.length; at += size) {
    yield bytes.subarray(at, at + size);
    await Bun.sleep(pauseMs);
  }
}

const headersOf = (server: TestServer): Record<string, string> => ({
  authorization: `Basic ${btoa(`${server.admin.username}:${server.admin.password}`)}`,
});

/** Connects and sends something; resolves with what came back when the server closed. */
function conversation(server: TestServer, bytes: string): Promise<string> {
  const [hostname = "", port] = server.host.split(":");
  return new Promise((resolve) => {
    let received = "";
    const socket = connect({ host: hostname, port: Number(port) }, () => socket.write(bytes));
    socket.on("data", (chunk: Buffer) => (received += chunk.toString("latin1")));
    socket.on("error", () => resolve(received));
    socket.on("close", () => resolve(received));
  });
}

const eventsOf = (server: TestServer): readonly string[] => server.log().map(({ event }) => event);

async function untilEvent(server: TestServer, event: string): Promise<void> {
  for (const deadline = Date.now() + 10_000; !eventsOf(server).includes(event);) {
    if (Date.now() > deadline) throw new Error(`no "${event}" in the log`);
    await Bun.sleep(5);
  }
}

describe("a server that is told to stop", () => {
  it("finishes uploads and downloads that run, takes no new connection, and exits 0", async () => {
    await using server = await startServer();
    const registry = registryOf(server);
    const repository = freshRepository();
    const large = randomBytes(30_000_000);
    const largeDigest = await pushBlob(registry, repository, large);
    const bytes = randomBytes(400_000);
    const location = withQuery(await startUpload(registry, repository), `digest=${digestOf(bytes)}`);
    const upload = registry.send("PUT", location, { body: slowly(bytes, 20, 100) });
    const download = await fetch(`${server.url}/v2/${repository}/blobs/${largeDigest}`, { headers: headersOf(server) });
    await Bun.sleep(300);

    const stopped = server.stop();
    await untilEvent(server, "stopping");
    await Bun.sleep(100);
    await expect(fetch(`${server.url}/v2/`)).rejects.toThrow();
    const hash = createHash("sha256");
    for await (const chunk of download.body ?? []) {
      hash.update(chunk);
      await Bun.sleep(1);
    }
    expect(`sha256:${hash.digest("hex")}`).toBe(largeDigest);
    expect((await upload).status).toBe(201);
    expect(await stopped).toBe(0);
    expect(eventsOf(server)).not.toContain("requests cut off");
    expect(eventsOf(server).at(-1)).toBe("stopped");
  }, 60_000);

  it("does not wait for connections without a request, or with half of one", async () => {
    await using server = await startServer({ env: { BERTH_SHUTDOWN_DRAIN_SECONDS: "20" } });
    // The kernel keeps it from the server until something comes.
    void conversation(server, "");
    const half = conversation(server, "GET /v2/ HTTP/1.1\r\nHost:");
    const kept = conversation(server, `GET /healthz HTTP/1.1\r\nHost: ${server.host}\r\n\r\n`);
    await Bun.sleep(200);
    const started = performance.now();
    expect(await server.stop()).toBe(0);
    expect(performance.now() - started).toBeLessThan(5000);
    await half;
    expect(await kept).toContain("200 OK");
  }, 60_000);

  it("says so at /readyz first, and serves meanwhile", async () => {
    await using server = await startServer({ env: { BERTH_SHUTDOWN_NOTICE_SECONDS: "2" } });
    const stopped = server.stop();
    await untilEvent(server, "stopping");
    const ready = await fetch(`${server.url}/readyz`);
    expect(ready.status).toBe(503);
    expect(await ready.json()).toEqual({
      ready: false,
      reasons: [{ check: "server", reason: "the server is stopping" }],
    });
    expect((await fetch(`${server.url}/v2/`, { headers: headersOf(server) })).status).toBe(200);
    const health = await fetch(`${server.url}/healthz`);
    // So that clients come back elsewhere, and no request of theirs meets a connection that ends.
    expect([health.status, health.headers.get("connection")]).toEqual([200, "close"]);
    expect(await stopped).toBe(0);
  }, 60_000);

  it("exits at once when it is told a second time", async () => {
    await using server = await startServer({ env: { BERTH_SHUTDOWN_DRAIN_SECONDS: "60" } });
    const registry = registryOf(server);
    const location = await startUpload(registry, freshRepository());
    const upload = Promise.allSettled([
      registry.send("PATCH", location, { body: slowly(randomBytes(1000), 100, 200) }),
    ]);
    await Bun.sleep(300);
    const stopped = server.stop();
    await untilEvent(server, "stopping");
    await Bun.sleep(700);
    const started = performance.now();
    await server.stop("SIGINT");
    expect(await stopped).toBe(130);
    expect(performance.now() - started).toBeLessThan(2000);
    await upload;
  }, 60_000);
});

it("an upload that is cut by the drain limit goes on after the restart, from what had arrived", async () => {
  const data = await mkdtemp(join(tmpdir(), "berth-shutdown-"));
  try {
    const bytes = randomBytes(1_000_000);
    await using first = await startServer({ data, env: { BERTH_SHUTDOWN_DRAIN_SECONDS: "1" } });
    const location = await startUpload(registryOf(first), freshRepository());
    const upload = Promise.allSettled([registryOf(first).send("PATCH", location, { body: slowly(bytes, 100, 100) })]);
    await Bun.sleep(1000);
    const started = performance.now();
    expect(await first.stop()).toBe(0);
    expect(performance.now() - started).toBeLessThan(6000);
    await upload;
    expect(first.log().find(({ event }) => event === "requests cut off")?.["requests"]).toBe(1);
    // The request that was cut is in the log too, and is no error.
    expect(first.requests().find(({ method }) => method === "PATCH")?.status).toBe(499);
    expect(first.log().filter(({ level }) => level === "error")).toEqual([]);

    await using second = await startServer({ data });
    const registry = registryOf(second);
    const told = await registry.send("GET", location);
    expect(told.status).toBe(204);
    const kept = Number(/^0-(\d+)$/.exec(told.header("range") ?? "")?.[1]) + 1;
    expect(kept).toBeGreaterThan(100_000);
    expect(kept).toBeLessThan(bytes.length);
    const headers = { "Content-Range": `${kept}-${bytes.length - 1}` };
    const rest = await registry.send("PUT", withQuery(location, `digest=${digestOf(bytes)}`), {
      headers,
      body: bytes.subarray(kept),
    });
    expect(rest.status).toBe(201);
  } finally {
    await rm(data, { recursive: true, force: true });
  }
}, 60_000);

it("a stop under load breaks no answer that has begun", async () => {
  await using server = await startServer();
  const registry = registryOf(server);
  const repository = freshRepository();
  const bytes = randomBytes(2_000_000);
  const digest = await pushBlob(registry, repository, bytes);
  const url = `${server.url}/v2/${repository}/blobs/${digest}`;
  const tally = { whole: 0, refused: 0, broken: 0, wrong: 0 };
  const stop = { asked: false };
  const pull = async (): Promise<void> => {
    const answer = await fetch(url, { headers: headersOf(server) }).catch(() => undefined);
    if (answer === undefined) {
      tally.refused++;
      return;
    }
    if (answer.status !== 200) tally.wrong++;
    const body = await answer.arrayBuffer().catch(() => undefined);
    if (body === undefined) tally.broken++;
    else if (bytes.equals(Buffer.from(body))) tally.whole++;
    else tally.wrong++;
  };
  const client = async (): Promise<void> => {
    while (tally.refused === 0 || !stop.asked) await pull();
  };
  const clients = Array.from({ length: 8 }, client);
  await Bun.sleep(500);
  expect(tally.refused).toBe(0);
  stop.asked = true;
  expect(await server.stop()).toBe(0);
  await Promise.all(clients);
  expect(tally).toMatchObject({ broken: 0, wrong: 0 });
  expect(tally.whole).toBeGreaterThan(20);
  expect(tally.refused).toBeGreaterThan(0);
}, 60_000);
