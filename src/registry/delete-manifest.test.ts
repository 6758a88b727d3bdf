import { expect, it } from "bun:test";
import { describeEachDatabase } from "../../test/support/databases.ts";
import {
  codesOf,
  countRows,
  endLeases,
  imageOf,
  indexOf,
  leasesOf,
  problemsOf,
  push,
  repositoryName,
  storeBlob,
  tagName,
  tagsOf,
  testRegistry,
  testSettings,
} from "../../test/support/registry.ts";
import { collect } from "./collect.ts";
import { deleteManifest, deleteTag } from "./delete-manifest.ts";
import { findManifest } from "./manifests.ts";
import { registryMigrations } from "./migrations.ts";
import type { Registry } from "./registry.ts";

const app = repositoryName("team/app");
const other = repositoryName("team/other");
const { leaseMs } = testSettings;

describeEachDatabase("deleting", (_dialect, open) => {
  const start = async (): Promise<Registry> => testRegistry(await open([registryMigrations]));

  it("takes a tag alone, and the manifest stays", async () => {
    const registry = await start();
    const image = imageOf([await storeBlob(registry, app, "config")]);
    await push(registry, app, { of: image, tags: ["v1", "v2"] });
    await deleteTag(registry, app, tagName("v1"));
    expect(await tagsOf(registry, app)).toEqual({ v2: image.digest });
    await deleteTag(registry, app, tagName("v2"));
    expect((await findManifest(registry, app, { kind: "digest", digest: image.digest })).digest).toBe(image.digest);
    expect(await problemsOf(deleteTag(registry, app, tagName("v2")))).toEqual([
      { code: "MANIFEST_UNKNOWN", reference: "v2" },
    ]);
    expect(await problemsOf(deleteTag(registry, other, tagName("v2")))).toEqual([
      { code: "NAME_UNKNOWN", name: "team/other" },
    ]);
  });

  it("takes a manifest with all its tags, and no other's", async () => {
    const registry = await start();
    const config = await storeBlob(registry, app, "config");
    const [one, two] = [imageOf([config]), imageOf([config], { annotations: { build: "2" } })];
    await push(registry, app, { of: one, tags: ["a", "b", "c"] });
    await push(registry, app, { of: two, tags: ["d"] });
    await deleteManifest(registry, app, one.digest);
    expect(await tagsOf(registry, app)).toEqual({ d: two.digest });
    expect(await countRows(registry)).toMatchObject({ manifests: 1, repository_manifests: 1, edges: 1 });
    expect(await codesOf(deleteManifest(registry, app, one.digest))).toEqual(["MANIFEST_UNKNOWN"]);
    expect(await codesOf(deleteManifest(registry, other, two.digest))).toEqual(["NAME_UNKNOWN"]);
  });

  it("leaves another repository its manifest, until that one goes too", async () => {
    const registry = await start();
    const of = imageOf([await storeBlob(registry, app, "config")]);
    await storeBlob(registry, other, "config");
    await push(registry, app, { of, tags: ["v1"] });
    await push(registry, other, { of, tags: ["v1"] });
    await deleteManifest(registry, app, of.digest);
    expect((await findManifest(registry, other, { kind: "tag", tag: tagName("v1") })).digest).toBe(of.digest);
    expect(await countRows(registry)).toMatchObject({ manifests: 1, edges: 1 });
    await deleteManifest(registry, other, of.digest);
    expect(await countRows(registry)).toMatchObject({ manifests: 0, edges: 0, repository_manifests: 0, tags: 0 });
  });

  it("takes an index without children", async () => {
    const registry = await start();
    const of = indexOf([]);
    await push(registry, app, { of, tags: ["v1"] });
    await deleteManifest(registry, app, of.digest);
    expect(await countRows(registry)).toMatchObject({ manifests: 0, repository_manifests: 0, tags: 0 });
  });

  it("begins a fresh lease for what it frees, and leaves alone what another manifest names", async () => {
    const registry = await start();
    const [shared, own] = [await storeBlob(registry, app, "shared"), await storeBlob(registry, app, "own")];
    const [one, two] = [imageOf([shared, own]), imageOf([shared])];
    await push(registry, app, { of: one });
    await push(registry, app, { of: two });
    await endLeases(registry);
    await deleteManifest(registry, app, one.digest);
    const leases = await leasesOf(registry, app);
    expect(leases[own]).toBeWithin(leaseMs - 60_000, leaseMs + 1000);
    expect(leases[shared]).toBeGreaterThan(1e15);
    await collect(registry);
    expect(await countRows(registry)).toMatchObject({ blobs: 2, repository_blobs: 2 });
    await deleteManifest(registry, app, two.digest);
    expect((await leasesOf(registry, app))[shared]).toBeWithin(leaseMs - 60_000, leaseMs + 1000);
  });

  it("of many manifests at once frees what they share: the last one sees that it is the last", async () => {
    const registry = await start();
    for (let round = 0; round < 8; round++) {
      const repository = repositoryName(`team/app${round}`);
      const shared = [await storeBlob(registry, repository, "a"), await storeBlob(registry, repository, "b")] as const;
      const images = Array.from({ length: 6 }, (_, number) =>
        imageOf(number % 2 === 0 ? shared : [shared[1], shared[0]], { annotations: { number: String(number) } }),
      );
      await Promise.all(images.map((of) => push(registry, repository, { of, tags: [of.digest.slice(7, 20)] })));
      await Promise.all(images.map((image) => deleteManifest(registry, repository, image.digest)));
      const leases = Object.values(await leasesOf(registry, repository));
      expect(leases.map((lease) => lease < leaseMs + 1000)).toEqual([true, true]);
    }
  });

  it("while the same image is pushed again and again, leaves it whole or not at all", async () => {
    const registry = await start();
    const of = imageOf([await storeBlob(registry, app, "config"), await storeBlob(registry, app, "layer")]);
    for (let round = 0; round < 20; round++) {
      await Promise.allSettled([
        push(registry, app, { of, tags: ["v1"] }),
        deleteManifest(registry, app, of.digest),
        push(registry, app, { of, tags: ["v2"] }),
        deleteManifest(registry, app, of.digest),
      ]);
      const { manifests, repository_manifests, edges, tags } = await countRows(registry);
      if (repository_manifests === 0) expect([manifests, edges, tags]).toEqual([0, 0, 0]);
      else expect([manifests, edges]).toEqual([1, 2]);
      const isNamed = Object.values(await leasesOf(registry, app)).map((lease) => lease > 1e15);
      expect(isNamed).toEqual(repository_manifests === 0 ? [false, false] : [true, true]);
    }
  });
});
