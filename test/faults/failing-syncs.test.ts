import { expect, test } from "bun:test";
import { randomBytes } from "node:crypto";
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { digestOf, mediaTypes, pushBlob, pushManifest, startUpload } from "../protocol/content.ts";
import { expectProblem, type Registry, registryOf, withQuery } from "../protocol/registry-client.ts";
import { requirement } from "../support/requirement.ts";
import { startServer } from "../support/server.ts";
import { imageOf, repository } from "./faulty-operations.ts";
import { runCheck } from "./run-check.ts";
import { type FaultyServer, missingForFaults, startFaulty } from "./shim/faulty-server.ts";

const quiet = { BERTH_COLLECT_INTERVAL_SECONDS: "86400" };
const eager = { BERTH_COLLECT_INTERVAL_SECONDS: "1" };
const limitMs = 60_000;
const syncs = "fsync,fdatasync";

/** Waits for what comes by itself, also on a machine that is slow. */
async function until(what: string, isSo: () => Promise<boolean>): Promise<void> {
  for (const deadline = Date.now() + limitMs; !(await isSo());) {
    if (Date.now() > deadline) throw new Error(`${what}: not within ${String(limitMs / 1000)} s`);
    await Bun.sleep(100);
  }
}

async function pushKept(registry: Registry): Promise<{ readonly blob: string; readonly image: string }> {
  const config = randomBytes(1000);
  const blob = await pushBlob(registry, repository, config);
  const bytes = imageOf(config);
  const { digest } = await pushManifest(registry, { repository, bytes, mediaType: mediaTypes.image, tag: "kept" });
  return { blob, image: digest };
}

async function expectPulls(registry: Registry, kept: { readonly blob: string; readonly image: string }): Promise<void> {
  const image = await registry.send("GET", `/v2/${repository}/manifests/kept`);
  expect([image.status, digestOf(image.bytes)]).toEqual([200, kept.image]);
  const blob = await registry.send("GET", `/v2/${repository}/blobs/${kept.blob}`);
  expect([blob.status, digestOf(blob.bytes)]).toEqual([200, kept.blob]);
  expect((await registry.send("HEAD", `/v2/${repository}/blobs/${kept.blob}`)).status).toBe(200);
}

requirement("a sync that fails", missingForFaults(), () => {
  test("of an upload's file ends the upload: nothing that it kept is trusted, and the next has another key", async () => {
    await using faulty = await startFaulty({ env: quiet });
    const registry = registryOf(faulty.server);
    const bytes = randomBytes(20_000);
    const location = await startUpload(registry, repository);
    expect((await registry.send("PATCH", location, { body: bytes.subarray(0, 5000) })).status).toBe(202);
    const [before] = await readdir(join(faulty.server.data, "uploads"));
    await faulty.arm({ call: 1, error: "EIO", lasts: "once", calls: syncs, files: "uploads/" });
    expectProblem(await registry.send("PATCH", location, { body: bytes.subarray(5000) }), 503, "UNAVAILABLE");
    expect(await faulty.disarm()).toMatchObject({ failed: 1 });
    // The disk would say that all is well if it were asked again; what it says is not believed.
    expect((await registry.send("GET", location)).status).toBe(404);
    const target = withQuery(location, `digest=${digestOf(bytes)}`);
    expect((await registry.send("PUT", target, { body: bytes.subarray(5000) })).status).toBe(404);
    expect(await readdir(join(faulty.server.data, "uploads"))).not.toContain(before);
    await until("the store is healthy again", async () => {
      const begun = await registry.send("POST", `/v2/${repository}/blobs/uploads/`, { body: "" });
      const put = withQuery(begun.header("location") ?? "", `digest=${digestOf(bytes)}`);
      return (await registry.send("PUT", put, { body: bytes })).status === 201;
    });
    expect(await readdir(join(faulty.server.data, "blobs", before?.slice(0, 2) ?? ""))).not.toContain(before);
  }, 120_000);

  test("of an upload's first bytes, which are written and synced in one, ends the upload too", async () => {
    await using faulty = await startFaulty({ env: quiet });
    const registry = registryOf(faulty.server);
    const bytes = randomBytes(5000);
    const location = await startUpload(registry, repository);
    await faulty.arm({ call: 1, error: "EIO", lasts: "once", calls: syncs, files: "uploads/" });
    expectProblem(await registry.send("PATCH", location, { body: bytes }), 503, "UNAVAILABLE");
    expect(await faulty.disarm()).toMatchObject({ failed: 1, first: "write" });
    expect((await registry.send("PATCH", location, { body: bytes })).status).toBe(404);
    expect(await readdir(join(faulty.server.data, "uploads"))).toEqual([]);
  }, 120_000);

  test("of the database's log: nothing counts before the log's content is in the database file", async () => {
    await using faulty = await startFaulty({ env: quiet });
    const registry = registryOf(faulty.server);
    const kept = await pushKept(registry);
    const logBytes = async (): Promise<number> => (await stat(join(faulty.server.data, "berth.sqlite-wal"))).size;
    const push = () => {
      const bytes = randomBytes(100);
      return registry.send("POST", `/v2/${repository}/blobs/uploads/?digest=${digestOf(bytes)}`, { body: bytes });
    };
    for (let pushed = 0; pushed < 20; pushed++) expect((await push()).status).toBe(201);
    const before = await logBytes();
    await faulty.arm({ call: 1, error: "EIO", lasts: "once", calls: syncs, files: "-wal" });
    expectProblem(await push(), 503, "UNAVAILABLE");
    expect(await faulty.disarm()).toMatchObject({ failed: 1 });
    expect((await push()).status).toBe(201);
    // A log that is only written on never gets shorter.
    expect(await logBytes()).toBeLessThan(before);
    await expectPulls(registry, kept);
    await faulty.server.stop("SIGKILL");
    await using server = await startServer({ data: faulty.server.data });
    await expectPulls(registryOf(server), kept);
  }, 120_000);
});

const hang = (faulty: FaultyServer, files: string, calls = "changes"): Promise<void> =>
  faulty.arm({ call: 1, error: "EIO", lasts: "hang", calls, files });

requirement("a disk that does not answer", missingForFaults(), () => {
  test("to writes stops neither pulls nor those who watch, the server can be stopped, and pushes go on later", async () => {
    await using faulty = await startFaulty({ env: quiet });
    const registry = registryOf(faulty.server);
    const kept = await pushKept(registry);
    await hang(faulty, "uploads/");
    const bytes = randomBytes(300_000);
    const digest = digestOf(bytes);
    const pushes = Array.from({ length: 24 }, () =>
      registry.send("POST", `/v2/${repository}/blobs/uploads/?digest=${digest}`, { body: bytes }).then(
        ({ status }) => status,
        () => 0,
      ),
    );
    await until("not ready", async () => (await registry.send("GET", "/readyz")).status === 503);
    const told = (await registry.send("GET", "/readyz")).text;
    expect(told).toContain('"check":"store"');
    for (let round = 0; round < 3; round++) await expectPulls(registry, kept);
    expect((await registry.send("GET", "/healthz")).status).toBe(200);
    expect((await registry.send("GET", "/metrics")).status).toBe(200);
    expect((await faulty.disarm()).failed).toBeGreaterThan(1);
    const statuses = await Promise.all(pushes);
    // Those that waited for too long were told so; all others are stored.
    expect(statuses.filter((status) => ![201, 503, 0].includes(status))).toEqual([]);
    await until("ready", async () => (await registry.send("GET", "/readyz")).status === 200);
    expect(await pushBlob(registry, repository, randomBytes(1000))).toStartWith("sha256:");
    expect(await faulty.server.stop()).toBe(0);
  }, 180_000);

  test("to syncs of the database's log stops no pull, pushes wait, and all of them are told when it does", async () => {
    await using faulty = await startFaulty({ env: quiet });
    const registry = registryOf(faulty.server);
    const kept = await pushKept(registry);
    await hang(faulty, "-wal", syncs);
    const bodies = Array.from({ length: 12 }, () => randomBytes(300));
    let told = 0;
    const pushes = bodies.map((body) =>
      registry
        .send("POST", `/v2/${repository}/blobs/uploads/?digest=${digestOf(body)}`, { body })
        .finally(() => (told += 1)),
    );
    // Those that come later find that nobody writes any more.
    await Bun.sleep(500);
    const late = pushBlob(registry, repository, randomBytes(300)).finally(() => (told += 1));
    for (let round = 0; round < 10; round++) await expectPulls(registry, kept);
    expect((await registry.send("GET", "/metrics")).status).toBe(200);
    expect(told).toBe(0);
    expect((await faulty.disarm()).failed).toBeGreaterThan(0);
    expect((await Promise.all(pushes)).map(({ status }) => status)).toEqual(bodies.map(() => 201));
    expect(await late).toStartWith("sha256:");
    expect(await faulty.server.stop()).toBe(0);
  }, 120_000);

  for (const [what, files, calls] of [
    ["writes of the store", "uploads/", "changes"],
    ["syncs of the database", "berth.sqlite", syncs],
  ] as const) {
    test(`to ${what} lets the server be stopped all the same`, async () => {
      await using faulty = await startFaulty({ env: { ...quiet, BERTH_SHUTDOWN_DRAIN_SECONDS: "1" } });
      const registry = registryOf(faulty.server);
      const kept = await pushKept(registry);
      await hang(faulty, files, calls);
      const pushes = Array.from({ length: 12 }, () =>
        registry
          .send("POST", `/v2/${repository}/blobs/uploads/?digest=${kept.blob}`, { body: "x" })
          .catch(() => undefined),
      );
      await expectPulls(registry, kept);
      expect(await faulty.server.stop()).toBe(0);
      await Promise.all(pushes);
      await using server = await startServer({ data: faulty.server.data });
      await expectPulls(registryOf(server), kept);
    }, 120_000);
  }
});

requirement("a kill between an upload's end and that of its bytes", missingForFaults(), () => {
  test("leaves bytes that the database knows, and that go with the next pass", async () => {
    await using faulty = await startFaulty({ env: quiet });
    const registry = registryOf(faulty.server);
    const kept = await pushKept(registry);
    const location = await startUpload(registry, repository);
    await registry.send("PATCH", location, { body: randomBytes(5000) });
    await faulty.arm({ call: 1, error: "EIO", lasts: "hang", calls: "unlink,unlinkat", files: "uploads/" });
    const cancelled = registry.send("DELETE", location).catch(() => undefined);
    await until("the session is over", async () => (await registry.send("GET", location)).status === 404);
    await faulty.server.stop("SIGKILL");
    await cancelled;
    expect(await readdir(join(faulty.server.data, "uploads"))).toHaveLength(1);
    expect((await runCheck(faulty.server.data)).findings).toEqual([]);
    await using server = await startServer({ data: faulty.server.data, env: eager });
    await until("the bytes are gone", async () => (await readdir(join(server.data, "uploads"))).length === 0);
    expect((await runCheck(server.data)).findings).toEqual([]);
    await expectPulls(registryOf(server), kept);
  }, 120_000);
});
