import { expect, test } from "bun:test";
import { randomBytes } from "node:crypto";
import {
  describeBytes,
  digestOf,
  jsonBytes,
  mediaTypes,
  pushBlob,
  pushImage,
  pushIndex,
  startUpload,
} from "./content.ts";
import { freshRepository, useRegistry, withQuery } from "./registry-client.ts";
import { until } from "../support/workers.ts";
import { describeEachDatabase } from "../support/databases.ts";

describeEachDatabase("garbage collection", (dialect) => {
  const leaseSeconds = 2;

  // Collects all the time, and takes what nobody needs after two seconds.
  const registry = useRegistry({
    dialect,
    env: { BERTH_COLLECT_INTERVAL_SECONDS: "1", BERTH_COLLECT_LEASE_SECONDS: String(leaseSeconds) },
  });

  const longAfterTheLeaseMs = (leaseSeconds + 2) * 1000;

  const statusOf = async (target: string, method = "HEAD"): Promise<number> =>
    (await registry.send(method, target)).status;

  /** By a collector that may be late on a slow machine. */
  const untilGone = (target: string): Promise<void> =>
    until(`${target} is gone`, async () => (await statusOf(target, "GET")) === 404, 45_000);

  test.concurrent("GC removes unreferenced old blobs", async () => {
    const repository = freshRepository();
    const digest = await pushBlob(registry, repository, randomBytes(100));
    expect(await statusOf(`/v2/${repository}/blobs/${digest}`, "GET")).toBe(200);
    await untilGone(`/v2/${repository}/blobs/${digest}`);
    // And what was removed can be pushed again.
    const bytes = randomBytes(100);
    expect(await pushBlob(registry, repository, bytes)).toBe(digestOf(bytes));
  }, 60_000);

  test.concurrent("GC keeps images, children of indexes, referrers of live subjects, and the bytes of active sessions", async () => {
    const repository = freshRepository();
    const tagged = await pushImage(registry, repository, { tag: "v1" });
    const child = await pushImage(registry, repository);
    const inner = await pushIndex(registry, repository, { manifests: [child.descriptor] });
    const index = await pushIndex(registry, repository, { tag: "multi", manifests: [inner.descriptor] });
    const referrer = await pushImage(registry, repository, { fields: { subject: tagged.descriptor } });
    const staged = randomBytes(1000);
    const location = await startUpload(registry, repository);
    await registry.send("PATCH", location, { body: staged });
    await Bun.sleep(longAfterTheLeaseMs);
    for (const { digest } of [tagged, child, inner, index, referrer]) {
      expect(await statusOf(`/v2/${repository}/manifests/${digest}`, "GET")).toBe(200);
    }
    for (const { config, layers } of [tagged, child, referrer]) {
      for (const { digest } of [config, ...layers]) {
        const pulled = await registry.send("GET", `/v2/${repository}/blobs/${digest}`);
        expect([pulled.status, digestOf(pulled.bytes)]).toEqual([200, digest]);
      }
    }
    const referrers = await registry.send("GET", `/v2/${repository}/referrers/${tagged.digest}`);
    expect(referrers.text).toContain(referrer.digest);
    const put = await registry.send("PUT", withQuery(location, `digest=${digestOf(staged)}`), { body: "" });
    expect(put.status).toBe(201);
  }, 60_000);

  test.concurrent("a blob that HEAD has just found is there for the manifest, however old it was", async () => {
    const repository = freshRepository();
    const waits = Array.from({ length: 16 }, (_, at) => at * 300);
    const outcomes = await Promise.all(
      waits.map(async (waitMs) => {
        const bytes = jsonBytes({ waitMs, id: randomBytes(8).toString("hex") });
        const digest = await pushBlob(registry, repository, bytes);
        await Bun.sleep(waitMs);
        if ((await statusOf(`/v2/${repository}/blobs/${digest}`)) === 404) return "collected before HEAD";
        // As long as a client may take between its HEAD and its manifest, against this lease.
        await Bun.sleep(700);
        const config = describeBytes(mediaTypes.config, bytes);
        const put = await registry.send("PUT", `/v2/${repository}/manifests/v${String(waitMs)}`, {
          headers: { "Content-Type": mediaTypes.image },
          body: jsonBytes({ schemaVersion: 2, mediaType: mediaTypes.image, config, layers: [] }),
        });
        const pulled = await statusOf(`/v2/${repository}/blobs/${digest}`, "GET");
        return `manifest ${String(put.status)}, blob ${String(pulled)}`;
      }),
    );
    expect(new Set(outcomes)).toEqual(new Set(["manifest 201, blob 200", "collected before HEAD"]));
  }, 60_000);

  test.concurrent("blobs of a deleted image stay for a lease, so that a push which counts on them finds them, and then go", async () => {
    const repository = freshRepository();
    const image = await pushImage(registry, repository, { tag: "v1" });
    await Bun.sleep(leaseSeconds * 1000 + 200);
    const blob = `/v2/${repository}/blobs/${image.config.digest}`;
    expect(await statusOf(`/v2/${repository}/manifests/${image.digest}`, "DELETE")).toBe(202);
    await Bun.sleep(500);
    expect(await statusOf(blob, "GET")).toBe(200);
    await untilGone(blob);
  }, 60_000);
});
