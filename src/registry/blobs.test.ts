import { expect, it } from "bun:test";
import { describeEachDatabase } from "../../test/support/databases.ts";
import {
  codesOf,
  countRows,
  digestOf,
  endLeases,
  imageOf,
  leasesOf,
  push,
  repositoryName,
  storeBlob,
  testRegistry,
  testSettings,
} from "../../test/support/registry.ts";
import type { Digest } from "../oci/digest.ts";
import { deleteBlob, findBlob, mountBlob, renewLease } from "./blobs.ts";
import { registryMigrations } from "./migrations.ts";
import type { Registry } from "./registry.ts";

const app = repositoryName("team/app");
const other = repositoryName("team/other");
const third = repositoryName("third");
const { leaseMs } = testSettings;

const leaseOf = async (registry: Registry, digest: Digest) => (await leasesOf(registry, app))[digest] ?? 0;

describeEachDatabase("a blob", (_dialect, open) => {
  const start = async (): Promise<Registry> => testRegistry(await open([registryMigrations]));

  it("can be read where it is a member, and nowhere else", async () => {
    const registry = await start();
    const digest = await storeBlob(registry, app, "bytes");
    await storeBlob(registry, other, "others");
    expect(await findBlob(registry, app, digest)).toMatchObject({ digest, sizeBytes: 5 });
    expect(await codesOf(findBlob(registry, other, digest))).toEqual(["BLOB_UNKNOWN"]);
    expect(await codesOf(findBlob(registry, third, digest))).toEqual(["BLOB_UNKNOWN"]);
    expect(await codesOf(findBlob(registry, app, digestOf("never")))).toEqual(["BLOB_UNKNOWN"]);
  });

  it("has one row and one key, in how many repositories it may be", async () => {
    const registry = await start();
    const digest = await storeBlob(registry, app, "bytes");
    const { key } = await findBlob(registry, app, digest);
    await storeBlob(registry, other, "bytes");
    expect((await findBlob(registry, other, digest)).key).toBe(key);
    expect(await countRows(registry)).toMatchObject({ blobs: 1, repository_blobs: 2, doomed_blobs: 1 });
  });

  it("is mounted from the repositories that are listed, and from no other that has it", async () => {
    const registry = await start();
    const digest = await storeBlob(registry, app, "bytes");
    await storeBlob(registry, other, "others");
    const mount = (...sources: readonly (typeof app)[]) => mountBlob(registry, { repository: third, digest, sources });
    expect(await mount()).toBe(false);
    expect(await mount(other)).toBe(false);
    expect(await mount(repositoryName("absent"))).toBe(false);
    expect(await countRows(registry)).toMatchObject({ repositories: 2, repository_blobs: 2 });
    expect(await mount(other, app)).toBe(true);
    expect((await findBlob(registry, third, digest)).key).toBe((await findBlob(registry, app, digest)).key);
    expect(await mountBlob(registry, { repository: third, digest: digestOf("never"), sources: [app, other] })).toBe(
      false,
    );
  });

  it("keeps the lease that no clock ends when it is mounted or pushed once more", async () => {
    const registry = await start();
    const digest = await storeBlob(registry, app, "bytes");
    await push(registry, app, { of: imageOf([digest]) });
    await mountBlob(registry, { repository: app, digest, sources: [app] });
    await storeBlob(registry, app, "bytes");
    expect((await leasesOf(registry, app))[digest]).toBeGreaterThan(1e15);
  });

  it("gets a fresh lease when it is mounted or pushed once more", async () => {
    const registry = await start();
    const digest = await storeBlob(registry, app, "bytes");
    await endLeases(registry);
    await mountBlob(registry, { repository: app, digest, sources: [app] });
    expect((await leasesOf(registry, app))[digest]).toBeGreaterThan(leaseMs - 60_000);
    await endLeases(registry);
    await storeBlob(registry, app, "bytes");
    expect((await leasesOf(registry, app))[digest]).toBeGreaterThan(leaseMs - 60_000);
  });

  it("is taken out of one repository, and goes with the last: its row now, its bytes later", async () => {
    const registry = await start();
    const digest = await storeBlob(registry, app, "bytes");
    await mountBlob(registry, { repository: other, digest, sources: [app] });
    await deleteBlob(registry, app, digest);
    expect(await codesOf(findBlob(registry, app, digest))).toEqual(["BLOB_UNKNOWN"]);
    const { key } = await findBlob(registry, other, digest);
    expect(await countRows(registry)).toMatchObject({ blobs: 1, doomed_blobs: 0 });
    await deleteBlob(registry, other, digest);
    expect(await countRows(registry)).toMatchObject({ blobs: 0, repository_blobs: 0, doomed_blobs: 1 });
    expect(await registry.blobs.open(key)).toBeDefined();
    expect(await codesOf(deleteBlob(registry, other, digest))).toEqual(["BLOB_UNKNOWN"]);
    expect(await codesOf(deleteBlob(registry, third, digest))).toEqual(["BLOB_UNKNOWN"]);
  });

  it("that is deleted under its manifest makes the image whole when it comes again", async () => {
    const registry = await start();
    const digest = await storeBlob(registry, app, "bytes");
    const of = imageOf([digest]);
    await push(registry, app, { of, tags: ["v1"] });
    await deleteBlob(registry, app, digest);
    expect(await countRows(registry)).toMatchObject({ blobs: 0, edges: 1 });
    expect(await codesOf(push(registry, app, { of }))).toEqual(["MANIFEST_BLOB_UNKNOWN"]);
    await storeBlob(registry, app, "bytes");
    expect(await codesOf(push(registry, app, { of }))).toEqual([]);
    expect((await findBlob(registry, app, digest)).sizeBytes).toBe(5);
  });

  it("is mounted or gone, while its last source deletes it", async () => {
    const registry = await start();
    for (let round = 0; round < 30; round++) {
      const digest = await storeBlob(registry, app, `round ${round}`);
      const [mounted] = await Promise.all([
        mountBlob(registry, { repository: other, digest, sources: [app] }),
        deleteBlob(registry, app, digest),
      ]);
      expect(await codesOf(findBlob(registry, other, digest))).toEqual(mounted ? [] : ["BLOB_UNKNOWN"]);
    }
    const { blobs, repository_blobs } = await countRows(registry);
    expect(blobs).toBe(repository_blobs ?? -1);
  });
});

describeEachDatabase("asking for a blob that one means to push", (_dialect, open) => {
  /** A registry whose writes are counted, with one blob that has this much of its lease left. */
  async function start(leftMs: number) {
    const database = await open([registryMigrations]);
    let writes = 0;
    const registry: Registry = testRegistry({
      ...database,
      write: (work) => {
        writes += 1;
        return database.write(work);
      },
    });
    const digest = await storeBlob(registry, app, "bytes");
    const setLease = (leased_until: number) =>
      database.write((tx) => tx.updateTable("repository_blobs").set({ leased_until }).execute());
    await setLease(Date.now() + leftMs);
    writes = 0;
    return { registry, digest, setLease, writes: () => writes };
  }

  it("renews a lease of which less than half is left", async () => {
    const { registry, digest, writes } = await start(leaseMs / 2 - 30_000);
    await renewLease(registry, app, digest);
    expect(await leaseOf(registry, digest)).toBeWithin(leaseMs - 60_000, leaseMs + 1000);
    expect(writes()).toBe(1);
    await renewLease(registry, app, digest);
    expect(writes()).toBe(1);
  });

  it("writes nothing while more than half is left", async () => {
    const { registry, digest, writes } = await start(leaseMs / 2 + 30_000);
    await renewLease(registry, app, digest);
    expect(writes()).toBe(0);
  });

  it("writes nothing where a manifest names it, even under a lease that has run out", async () => {
    const { registry, digest, setLease, writes } = await start(0);
    await push(registry, app, { of: imageOf([digest]) });
    await renewLease(registry, app, digest);
    expect(writes()).toBe(1);
    await setLease(1);
    await renewLease(registry, app, digest);
    expect(writes()).toBe(1);
  });

  it("renews where only another repository's manifest names it", async () => {
    const { registry, digest } = await start(0);
    await storeBlob(registry, other, "bytes");
    await push(registry, other, { of: imageOf([digest]) });
    await renewLease(registry, app, digest);
    expect(await leaseOf(registry, digest)).toBeGreaterThan(leaseMs - 60_000);
    expect((await leasesOf(registry, other))[digest]).toBeGreaterThan(1e15);
  });

  it("does not shorten what a push has made endless meanwhile", async () => {
    const { registry, digest } = await start(0);
    const of = imageOf([digest]);
    await Promise.all([
      ...Array.from({ length: 5 }, () => renewLease(registry, app, digest)),
      push(registry, app, { of }),
      ...Array.from({ length: 5 }, () => renewLease(registry, app, digest)),
    ]);
    expect(await leaseOf(registry, digest)).toBeGreaterThan(1e15);
  });

  it("says so where it is not, or no longer", async () => {
    const { registry, digest, writes } = await start(0);
    expect(await codesOf(renewLease(registry, other, digest))).toEqual(["BLOB_UNKNOWN"]);
    expect(await codesOf(renewLease(registry, app, digestOf("never")))).toEqual(["BLOB_UNKNOWN"]);
    expect(writes()).toBe(0);
    const [renewal] = await Promise.all([
      codesOf(renewLease(registry, app, digest)),
      deleteBlob(registry, app, digest),
    ]);
    expect([[], ["BLOB_UNKNOWN"]]).toContainEqual([...renewal]);
    expect(await codesOf(renewLease(registry, app, digest))).toEqual(["BLOB_UNKNOWN"]);
  });
});
