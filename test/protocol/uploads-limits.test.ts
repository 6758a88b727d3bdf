import { describe, expect, test } from "bun:test";
import { randomBytes } from "node:crypto";
import { startServer } from "../support/server.ts";
import { digestOf, inPieces, startUpload } from "./content.ts";
import { storedBytes } from "./data-folder.ts";
import { expectProblem, freshRepository, locationOf, registryOf, useRegistry, withQuery } from "./registry-client.ts";

const maxBytes = 1_000_000;

async function waitFor(what: () => Promise<boolean>, limitMs: number): Promise<boolean> {
  for (const deadline = Date.now() + limitMs; Date.now() < deadline; await Bun.sleep(50)) {
    if (await what()) return true;
  }
  return what();
}

describe("a blob above the configured cap", () => {
  const registry = useRegistry({ env: { BERTH_UPLOADS_MAX_BYTES: String(maxBytes) } });

  async function* endless(given: { bytes: number }): AsyncGenerator<Uint8Array> {
    const piece = randomBytes(50_000);
    for (; given.bytes < 100 * maxBytes; given.bytes += piece.length) {
      await Bun.sleep(1);
      yield piece;
    }
  }

  test("is 413 by its Content-Length alone, before any of the body is sent", async () => {
    const location = await startUpload(registry, freshRepository());
    const headers = { "Content-Length": String(maxBytes + 1), Expect: "100-continue" };
    const answer = await registry.send("PATCH", location, { headers, body: inPieces(), awaitContinue: true });
    expectProblem(answer, 413, "SIZE_INVALID", "BLOB_UPLOAD_INVALID");
  });

  test("is 413 as soon as a stream is over it, and the session is freed", async () => {
    const location = await startUpload(registry, freshRepository());
    const given = { bytes: 0 };
    const answer = await registry.send("PATCH", location, { body: endless(given) });
    expectProblem(answer, 413, "SIZE_INVALID", "BLOB_UPLOAD_INVALID");
    expect(given.bytes).toBeLessThan(100 * maxBytes);
    expectProblem(await registry.send("GET", location), 404, "BLOB_UPLOAD_UNKNOWN");
  });

  test("is 413 in chunks of which each is small", async () => {
    const location = await startUpload(registry, freshRepository());
    expect((await registry.send("PATCH", location, { body: randomBytes(maxBytes - 10) })).status).toBe(202);
    const answer = await registry.send("PATCH", location, { body: randomBytes(11) });
    expectProblem(answer, 413, "SIZE_INVALID", "BLOB_UPLOAD_INVALID");
  });

  test("is 413 in POST and in PUT, and is not stored", async () => {
    const repository = freshRepository();
    const bytes = randomBytes(maxBytes + 1);
    const digest = digestOf(bytes);
    const before = await storedBytes(registry.server().data);
    const post = await registry.send("POST", `/v2/${repository}/blobs/uploads/?digest=${digest}`, { body: bytes });
    expectProblem(post, 413, "SIZE_INVALID", "BLOB_UPLOAD_INVALID");
    const location = await startUpload(registry, repository);
    const put = await registry.send("PUT", withQuery(location, `digest=${digest}`), { body: inPieces(bytes) });
    expectProblem(put, 413, "SIZE_INVALID", "BLOB_UPLOAD_INVALID");
    expect((await registry.send("HEAD", `/v2/${repository}/blobs/${digest}`)).status).toBe(404);
    const freed = await waitFor(async () => (await storedBytes(registry.server().data)) - before < 500_000, 5000);
    expect(freed).toBe(true);
  });

  test("of exactly the cap is accepted", async () => {
    const repository = freshRepository();
    const bytes = randomBytes(maxBytes);
    const digest = digestOf(bytes);
    const post = await registry.send("POST", `/v2/${repository}/blobs/uploads/?digest=${digest}`, { body: bytes });
    expect(post.status).toBe(201);
  });
});

describe("sessions are bounded in number", () => {
  const registry = useRegistry({ env: { BERTH_UPLOADS_MAX_SESSIONS: "3" } });

  test("one too many is 429 TOOMANYREQUESTS with Retry-After, until another is finished or cancelled", async () => {
    const repository = freshRepository();
    const locations = await Promise.all([1, 2, 3].map(() => startUpload(registry, repository)));
    const [first = "", second = ""] = locations;
    const refused = await registry.send("POST", `/v2/${repository}/blobs/uploads/`, { body: "" });
    expectProblem(refused, 429, "TOOMANYREQUESTS");
    expect(Number(refused.header("retry-after"))).toBeGreaterThan(0);
    expect((await registry.send("DELETE", first)).status).toBe(204);
    await startUpload(registry, repository);
    const put = await registry.send("PUT", withQuery(second, `digest=${digestOf("x")}`), { body: "x" });
    expect(put.status).toBe(201);
    await startUpload(registry, repository);
  });
});

async function* slowly(pieces: number, pauseMs: number): AsyncGenerator<Uint8Array> {
  for (let piece = 0; piece < pieces; piece += 1) {
    yield Buffer.alloc(1000, piece);
    await Bun.sleep(pauseMs);
  }
}

describe("idle sessions", () => {
  const registry = useRegistry({ env: { BERTH_UPLOADS_IDLE_SECONDS: "2", BERTH_COLLECT_INTERVAL_SECONDS: "1" } });

  test.concurrent("expire by last activity: 404 BLOB_UPLOAD_UNKNOWN", async () => {
    const repository = freshRepository();
    const idle = await startUpload(registry, repository);
    const used = await startUpload(registry, repository);
    for (let elapsedMs = 0; elapsedMs < 4500; elapsedMs += 500) {
      await Bun.sleep(500);
      const patch = await registry.send("PATCH", used, { body: "x" });
      expect(patch.status).toBe(202);
    }
    expectProblem(await registry.send("GET", idle), 404, "BLOB_UPLOAD_UNKNOWN");
    expectProblem(await registry.send("PATCH", idle, { body: "x" }), 404, "BLOB_UPLOAD_UNKNOWN");
    const put = await registry.send("PUT", withQuery(used, `digest=${digestOf("x".repeat(9))}`), { body: "" });
    expect(put.status).toBe(201);
  }, 60_000);

  test.concurrent("are not those that are slow but active: one request may outlive the limit", async () => {
    const repository = freshRepository();
    const location = await startUpload(registry, repository);
    const patch = await registry.send("PATCH", location, { body: slowly(9, 500) });
    expect([patch.status, patch.header("range")]).toEqual([202, "0-8999"]);
    const whole = Buffer.concat(Array.from({ length: 9 }, (_, piece) => Buffer.alloc(1000, piece)));
    const put = await registry.send("PUT", withQuery(locationOf(patch), `digest=${digestOf(whole)}`), { body: "" });
    expect(put.status).toBe(201);
  }, 60_000);
});

test("cancelling frees the staged bytes", async () => {
  await using server = await startServer();
  const registry = registryOf(server);
  const location = await startUpload(registry, freshRepository());
  const before = await storedBytes(server.data);
  await registry.send("PATCH", location, { body: randomBytes(3_000_000) });
  expect((await storedBytes(server.data)) - before).toBeGreaterThanOrEqual(3_000_000);
  expect((await registry.send("DELETE", location)).status).toBe(204);
  expect(await waitFor(async () => (await storedBytes(server.data)) - before < 500_000, 5000)).toBe(true);
});
