import { expect, test } from "bun:test";
import { pushImage } from "../protocol/content.ts";
import { type ServedRegistry, useRegistry } from "../protocol/registry-client.ts";
import { missingProcessTable, openFiles, processListeningOn, residentBytes } from "../protocol/server-process.ts";
import { requirement } from "../support/requirement.ts";
import { fuzzEnv, makeWorld, play } from "./fuzz/play.ts";

const seeds = [1, 20_260, 4_294_967_291];
/** All seeds together. Longer runs go on to seeds of their own. */
const givenSeconds = Number(process.env["BERTH_TEST_FUZZ_SECONDS"] ?? "");
const seconds = givenSeconds > 0 ? givenSeconds : 15;

async function expectWorking(registry: ServedRegistry): Promise<void> {
  const image = await pushImage(registry, "fuzz/after", { tag: "v1" });
  const pulled = await registry.send("GET", "/v2/fuzz/after/manifests/v1");
  expect(pulled.status).toBe(200);
  expect(pulled.bytes.equals(image.bytes)).toBe(true);
  for (const { digest, size } of [image.config, ...image.layers]) {
    const blob = await registry.send("GET", `/v2/fuzz/after/blobs/${digest}`);
    expect([blob.status, blob.bytes.length]).toEqual([200, size]);
  }
}

requirement("requests of all kinds", missingProcessTable, () => {
  const registry = useRegistry({ env: fuzzEnv });

  for (const [at, seed] of seeds.entries()) {
    test(
      `seed ${String(seed)}: none is a server error, and the server works on`,
      async () => {
        const endMs = performance.now() + (seconds * 1000) / seeds.length;
        let played = 0;
        for (let round = 0; performance.now() < endMs; round += 1) {
          const roundEndMs = Math.min(endMs, performance.now() + 5000);
          // Anew each time: tokens and uploads run out.
          played += await play(await makeWorld(registry), seed + round * 7919 + at, roundEndMs);
        }
        expect(played).toBeGreaterThan(100);
        await registry.server().logged();
        // Requests that are all refused at the door would try little.
        const statuses = new Set(
          registry
            .server()
            .requests()
            .map(({ status }) => status),
        );
        for (const status of [200, 201, 202, 400, 401, 404, 405]) expect(statuses).toContain(status);
        expect(
          registry
            .server()
            .log()
            .filter(({ level }) => level === "error"),
        ).toEqual([]);
        await expectWorking(registry);
      },
      (seconds + 30) * 1000,
    );
  }

  test("leave the process the memory and the open files that it had", async () => {
    const { host } = registry.server();
    const pid = await processListeningOn(host);
    const world = await makeWorld(registry);
    const [bytesBefore, filesBefore] = [await residentBytes(pid), await openFiles(pid)];
    await play(world, 77, performance.now() + 3000);
    for (let waited = 0; (await openFiles(pid)) > filesBefore + 4 && waited < 5000; waited += 100) await Bun.sleep(100);
    expect(await openFiles(pid)).toBeLessThanOrEqual(filesBefore + 4);
    expect((await residentBytes(pid)) - bytesBefore).toBeLessThan(64 << 20);
  }, 30_000);
});
