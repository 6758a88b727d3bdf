import { expect, test } from "bun:test";
import { randomBytes } from "node:crypto";
import { readdir, statfs } from "node:fs/promises";
import { join } from "node:path";
import { digestOf, inPieces, mediaTypes, pushBlob, pushManifest } from "../protocol/content.ts";
import { type Answer, problemsOf, type Registry, registryOf } from "../protocol/registry-client.ts";
import { requirement } from "../support/requirement.ts";
import { startServer } from "../support/server.ts";
import { imageOf, repository } from "./faulty-operations.ts";
import { ext4Disk, memoryDisk, missingForMounts } from "./real-disk.ts";
import { runCheck } from "./run-check.ts";

const mebibyte = 2 ** 20;
const limitMs = 60_000;
const uploads = `/v2/${repository}/blobs/uploads/`;

async function until(what: string, isSo: () => Promise<boolean>): Promise<void> {
  for (const deadline = Date.now() + limitMs; !(await isSo());) {
    if (Date.now() > deadline) throw new Error(`${what}: not within ${String(limitMs / 1000)} s`);
    await Bun.sleep(100);
  }
}

const pushOf = (registry: Registry, bytes: Buffer): Promise<Answer> =>
  registry.send("POST", `${uploads}?digest=${digestOf(bytes)}`, { body: bytes });

/** What was acknowledged so far, and whether it is still there. */
function keptContent(registry: () => Registry) {
  const blobs: string[] = [];
  const tags = new Map<string, string>();
  return {
    async push(bytes: Buffer): Promise<void> {
      blobs.push(await pushBlob(registry(), repository, bytes));
    },
    async image(tag: string): Promise<void> {
      const config = randomBytes(100);
      blobs.push(await pushBlob(registry(), repository, config));
      const push = { repository, bytes: imageOf(config), mediaType: mediaTypes.image, tag };
      tags.set(tag, (await pushManifest(registry(), push)).digest);
    },
    async expect(): Promise<void> {
      for (const digest of blobs) {
        const { status, bytes } = await registry().send("GET", `/v2/${repository}/blobs/${digest}`);
        expect([status, digestOf(bytes)]).toEqual([200, digest]);
      }
      for (const [tag, digest] of tags) {
        const { status, bytes } = await registry().send("GET", `/v2/${repository}/manifests/${tag}`);
        expect([status, digestOf(bytes)]).toEqual([200, digest]);
      }
    },
  };
}

function expectRefusal(answer: Answer, statuses: readonly number[], words: RegExp): void {
  expect(statuses).toContain(answer.status);
  const [problem] = problemsOf(answer);
  expect(problem?.code).toBe("UNAVAILABLE");
  expect(problem?.message ?? "").toMatch(words);
}

const unfinished = (data: string): Promise<readonly string[]> => readdir(join(data, "uploads"));

requirement("file systems of their own", await missingForMounts(), () => {
  test("a disk that fills up: pushes are refused at the reserve, all else goes on, and space is all it takes", async () => {
    await using disk = await memoryDisk("size=100m");
    await using server = await startServer({
      data: disk.data,
      env: { BERTH_COLLECT_INTERVAL_SECONDS: "86400", BERTH_JOURNAL_INTERVAL_SECONDS: "3600" },
    });
    const registry = registryOf(server);
    const kept = keptContent(() => registry);
    await kept.push(randomBytes(mebibyte));
    await kept.image("v1");
    await disk.leaveFree(9 * mebibyte);
    await until("room", async () => (await pushOf(registry, randomBytes(mebibyte))).status === 201);
    // The preset of such a disk is 5 MiB. One that goes on beyond it is cut, whether it says how long it is or not.
    const large = randomBytes(16 * mebibyte);
    expectRefusal(await pushOf(registry, large), [507], /no room/);
    const pieces = inPieces(
      ...Array.from({ length: 16 }, (_, at) => large.subarray(at * mebibyte, (at + 1) * mebibyte)),
    );
    expectRefusal(
      await registry.send("POST", `${uploads}?digest=${digestOf(large)}`, { body: pieces }),
      [507],
      /no room/,
    );
    const { bavail, bsize } = await statfs(disk.data);
    expect(bavail * bsize).toBeGreaterThan(4 * mebibyte);
    expect(await unfinished(disk.data)).toEqual([]);

    await disk.leaveFree(4 * mebibyte);
    await until("the reserve is reached", async () => (await pushOf(registry, randomBytes(10))).status === 507);
    const manifest = { headers: { "Content-Type": mediaTypes.image }, body: imageOf(randomBytes(10)) };
    expectRefusal(await registry.send("PUT", `/v2/${repository}/manifests/v1`, manifest), [507], /no room/);
    expectRefusal(await registry.send("POST", uploads, { body: "" }), [507], /no room/);
    await kept.expect();
    // What frees space works, which on a disk that is really full it could not.
    expect((await registry.send("DELETE", `/v2/${repository}/manifests/v1`)).status).toBe(202);
    const readiness = await registry.send("GET", "/readyz");
    expect([readiness.status, readiness.text]).toEqual([503, expect.stringContaining('"check":"store"')]);
    const metrics = (await registry.send("GET", "/metrics")).text;
    const free = Number(/^berth_storage_free_bytes (\d+)$/m.exec(metrics)?.[1]);
    expect(free).toBeWithin(2 * mebibyte, 5 * mebibyte);
    expect(metrics).toContain("\nberth_storage_reserve_bytes 5242880\n");

    await disk.leaveFree("all");
    await until("pushes go on", async () => (await pushOf(registry, large)).status === 201);
    await until("ready", async () => (await registry.send("GET", "/readyz")).status === 200);
  }, 120_000);

  test("a disk that is really full: nothing is lost or half there, not at a start either", async () => {
    await using disk = await memoryDisk("size=60m");
    const env = { BERTH_BLOBS_RESERVE_BYTES: "0", BERTH_COLLECT_INTERVAL_SECONDS: "1" };
    const server = await startServer({ data: disk.data, env });
    let current = server;
    const kept = keptContent(() => registryOf(current));
    await kept.image("v1");
    for (const spare of [3, 1, 0]) {
      await disk.leaveFree(spare * mebibyte);
      const large = randomBytes(8 * mebibyte);
      expectRefusal(await pushOf(registryOf(server), large), [507, 503], /no room|fails/);
      await kept.expect();
      await until("no file left", async () => (await unfinished(disk.data)).length === 0);
    }
    await server.stop("SIGKILL");
    await disk.leaveFree(0);
    const [started] = await Promise.allSettled([startServer({ data: disk.data, env })]);
    if (started.status === "rejected") {
      expect(String(started.reason)).toMatch(/stopped with 2 .*\n.*data: .*(?:full|no space|I\/O)/is);
    } else {
      current = started.value;
      await kept.expect();
      await current.stop("SIGKILL");
    }
    await disk.leaveFree("all");
    await using again = await startServer({ data: disk.data, env });
    current = again;
    await kept.expect();
    await kept.image("v2");
    await kept.expect();
    await until("all is as it should be", async () => (await runCheck(disk.data)).exitCode === 0);
  }, 180_000);

  test("a disk without inodes: pushes are refused, pulls go on, and more inodes are all it takes", async () => {
    await using disk = await memoryDisk("size=100m,nr_inodes=320");
    await using server = await startServer({ data: disk.data, env: { BERTH_COLLECT_INTERVAL_SECONDS: "1" } });
    const registry = registryOf(server);
    const kept = keptContent(() => registry);
    await kept.image("v1");
    let refused: Answer | undefined;
    for (let pushed = 0; pushed < 320 && refused === undefined; pushed++) {
      const answer = await pushOf(registry, randomBytes(10));
      if (answer.status !== 201) refused = answer;
    }
    if (refused === undefined) throw new Error("there were inodes for everything");
    expectRefusal(refused, [507], /no room/);
    await kept.expect();
    expect(await unfinished(disk.data)).toEqual([]);
    await disk.remount("nr_inodes=1000");
    await until("pushes go on", async () => (await pushOf(registry, randomBytes(10))).status === 201);
    await kept.expect();
  }, 120_000);

  test("a disk that turns read-only: pulls go on, pushes say so, and a new mount has all that was acknowledged", async () => {
    await using disk = await ext4Disk(64);
    const server = await startServer({ data: disk.data, env: { BERTH_COLLECT_INTERVAL_SECONDS: "1" } });
    let current = server;
    const kept = keptContent(() => registryOf(current));
    await kept.push(randomBytes(mebibyte));
    await kept.image("v1");
    // As ext4 does by itself when its device fails.
    await disk.remount("abort");
    for (let round = 0; round < 3; round++) {
      expectRefusal(await pushOf(registryOf(server), randomBytes(1000)), [503], /read-only|fails/);
      await kept.expect();
    }
    const readiness = await registryOf(server).send("GET", "/readyz");
    expect(readiness.status).toBe(503);
    expect(readiness.text).toMatch(/EROFS|SQLITE_READONLY|SQLITE_IOERR/);
    await server.stop("SIGKILL");
    const [started] = await Promise.allSettled([startServer({ data: disk.data })]);
    if (started.status === "rejected") expect(String(started.reason)).toMatch(/stopped with 2 .*\n.*data: /is);
    else {
      current = started.value;
      await kept.expect();
      expectRefusal(await pushOf(registryOf(current), randomBytes(1000)), [503], /read-only|fails/);
      await current.stop("SIGKILL");
    }
    await disk.unmount();
    await disk.mount();
    await using again = await startServer({ data: disk.data });
    current = again;
    await kept.expect();
    await kept.image("v2");
    await kept.expect();
    await until("all is as it should be", async () => (await runCheck(disk.data)).exitCode === 0);
    await again.stop();
  }, 180_000);
});
