import { expect, it } from "bun:test";
import { describeEachDatabase } from "../../test/support/databases.ts";
import {
  codesOf,
  countRows,
  digestOf,
  dockerImageOf,
  imageOf,
  indexOf,
  leasesOf,
  manifestOf,
  problemsOf,
  push,
  repositoryName,
  storeBlob,
  tagsOf,
  testRegistry,
  testSettings,
} from "../../test/support/registry.ts";
import { ociManifest } from "../oci/media-type.ts";
import { findManifest } from "./manifests.ts";
import { registryMigrations } from "./migrations.ts";
import { type Registry, withTagRights } from "./registry.ts";

const app = repositoryName("team/app");
const other = repositoryName("team/other");
const denied = { code: "DENIED", rule: "no right" } as const;

const edgesOf = async ({ database }: Registry) =>
  (await database.read.selectFrom("edges").select(["child", "parent", "kind"]).orderBy("child").execute()).map(
    ({ child, parent, kind }) => [child, parent, kind],
  );

describeEachDatabase("pushing a manifest", (_dialect, open) => {
  const start = async (parts: Partial<Registry> = {}): Promise<Registry> =>
    testRegistry(await open([registryMigrations]), parts);
  it("stores its bytes, its edges and its tags", async () => {
    const registry = await start();
    const blobs = [await storeBlob(registry, app, "config"), await storeBlob(registry, app, "layer")] as const;
    const image = imageOf(blobs);
    expect(await push(registry, app, { of: image, tags: ["v1", "latest"] })).toEqual({ absent: [] });
    expect(await tagsOf(registry, app)).toEqual({ latest: image.digest, v1: image.digest });
    expect(await edgesOf(registry)).toEqual(blobs.toSorted().map((blob) => [blob, image.digest, "content"]));
    const stored = await findManifest(registry, app, { kind: "digest", digest: image.digest });
    expect([Buffer.from(stored.bytes).toString(), stored.mediaType]).toEqual([image.bytes.toString(), ociManifest]);
  });

  it("names every digest that is missing once, and leaves nothing behind", async () => {
    const registry = await start();
    const config = await storeBlob(registry, other, "config");
    const [one, two] = [digestOf("one"), digestOf("two")];
    const refused = await problemsOf(push(registry, app, { of: imageOf([config, one, two, one]), tags: ["v1"] }));
    expect(refused).toEqual(
      [config, one, two].toSorted().map((digest) => ({ code: "MANIFEST_BLOB_UNKNOWN" as const, digest })),
    );
    expect(await countRows(registry)).toEqual({
      blobs: 1,
      repository_blobs: 1,
      repositories: 1,
      doomed_repositories: 0,
      doomed_blobs: 0,
      manifests: 0,
      repository_manifests: 0,
      edges: 0,
      tags: 0,
      uploads: 0,
    });
  });

  it("needs no foreign layer, and needs one that is named as a layer of its own too", async () => {
    const registry = await start();
    const config = await storeBlob(registry, app, "config");
    const foreign = {
      mediaType: "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
      digest: digestOf("foreign"),
      size: 1,
    };
    const own = { ...foreign, mediaType: "application/vnd.oci.image.layer.v1.tar+gzip" };
    expect(await codesOf(push(registry, app, { of: imageOf([config], { layers: [foreign] }) }))).toEqual([]);
    expect(await codesOf(push(registry, app, { of: imageOf([config], { layers: [foreign, own] }) }))).toEqual([
      "MANIFEST_BLOB_UNKNOWN",
    ]);
    expect(await codesOf(push(registry, app, { of: imageOf([config], { layers: [own, foreign] }) }))).toEqual([
      "MANIFEST_BLOB_UNKNOWN",
    ]);
  });

  it("takes an index with absent children, and says which, unless the settings want them all", async () => {
    const index = indexOf([digestOf("absent")]);
    const lenient = await start();
    expect(await push(lenient, app, { of: index, tags: ["v1"] })).toEqual({ absent: [digestOf("absent")] });
    const strict = await start({ settings: { ...testSettings, sparseIndexes: false } });
    expect(await problemsOf(push(strict, app, { of: index }))).toEqual([
      { code: "MANIFEST_BLOB_UNKNOWN", digest: digestOf("absent") },
    ]);
    const child = imageOf([await storeBlob(strict, app, "config")]);
    await push(strict, app, { of: child });
    expect(await codesOf(push(strict, other, { of: indexOf([child.digest]) }))).toEqual(["MANIFEST_BLOB_UNKNOWN"]);
    expect(await push(strict, app, { of: indexOf([child.digest]) })).toEqual({ absent: [] });
  });

  it("takes blobs as an index's children, as the old cache of BuildKit has them", async () => {
    const registry = await start({ settings: { ...testSettings, sparseIndexes: false } });
    const blob = await storeBlob(registry, app, "cached");
    expect(await push(registry, app, { of: indexOf([blob]) })).toEqual({ absent: [] });
    expect(Object.values(await leasesOf(registry, app))[0]).toBeGreaterThan(1e15);
  });

  it("takes an image with absent layers only where the settings say so", async () => {
    const sparse = await start({ settings: { ...testSettings, sparseImages: true } });
    const image = imageOf([digestOf("config"), digestOf("layer")]);
    expect((await push(sparse, app, { of: image })).absent).toEqual(
      image.manifest.edges.map((e) => e.digest).toSorted(),
    );
  });

  it("keeps the same bytes in two repositories, each by its own content", async () => {
    const registry = await start();
    const image = imageOf([await storeBlob(registry, app, "config")]);
    await push(registry, app, { of: image, tags: ["v1"] });
    expect(await codesOf(push(registry, other, { of: image }))).toEqual(["MANIFEST_BLOB_UNKNOWN"]);
    await storeBlob(registry, other, "config");
    await push(registry, other, { of: image, tags: ["v2"] });
    expect(await countRows(registry)).toMatchObject({ manifests: 1, repository_manifests: 2, edges: 2, blobs: 1 });
  });

  it("changes nothing when the same manifest comes again", async () => {
    const registry = await start();
    const image = imageOf([await storeBlob(registry, app, "config")]);
    await push(registry, app, { of: image, tags: ["v1"] });
    const before = await registry.database.read.selectFrom("tags").selectAll().execute();
    await Bun.sleep(5);
    await push(registry, app, { of: image, tags: ["v1"] });
    expect(await registry.database.read.selectFrom("tags").selectAll().execute()).toEqual(before);
    expect(await countRows(registry)).toMatchObject({ manifests: 1, repository_manifests: 1, edges: 1 });
  });

  it("keeps docker's and OCI's form of one image apart", async () => {
    const registry = await start();
    const blobs = [await storeBlob(registry, app, "config"), await storeBlob(registry, app, "layer")] as const;
    await push(registry, app, { of: imageOf(blobs), tags: ["oci"] });
    await push(registry, app, { of: dockerImageOf(blobs), tags: ["docker"] });
    const tags = await tagsOf(registry, app);
    expect(tags["oci"]).not.toBe(tags["docker"]);
    expect(await countRows(registry)).toMatchObject({ manifests: 2, edges: 4 });
  });

  it("stores an index of thousands of children, and one that has none", async () => {
    const registry = await start();
    const children = Array.from({ length: 2100 }, (_, number) => digestOf(String(number)));
    const { absent } = await push(registry, app, { of: indexOf(children), tags: ["many"] });
    expect(absent).toEqual(children.toSorted());
    expect(await push(registry, app, { of: indexOf([]), tags: ["none"] })).toEqual({ absent: [] });
    expect(await countRows(registry)).toMatchObject({ edges: 2100, repository_manifests: 2 });
  });

  it("creates and moves tags by right alone, all of them or none", async () => {
    const registry = await start();
    const config = await storeBlob(registry, app, "config");
    const [one, two] = [imageOf([config]), imageOf([config], { annotations: { build: "2" } })];
    await push(registry, app, { of: one, tags: ["stable"] });
    const mayCreate = withTagRights(registry, ({ from }) => (from === undefined ? undefined : denied));
    const mayMove = withTagRights(registry, ({ from }) => (from === undefined ? denied : undefined));
    expect(await codesOf(push(mayCreate, app, { of: two, tags: ["new", "stable"] }))).toEqual(["DENIED"]);
    expect(await codesOf(push(mayMove, app, { of: two, tags: ["a", "stable"] }))).toEqual(["DENIED"]);
    expect(await tagsOf(registry, app)).toEqual({ stable: one.digest });
    expect(await countRows(registry)).toMatchObject({ manifests: 1, repository_manifests: 1 });
    await push(mayCreate, app, { of: two, tags: ["new"] });
    await push(mayMove, app, { of: two, tags: ["stable"] });
    expect(await tagsOf(registry, app)).toEqual({ new: two.digest, stable: two.digest });
  });

  it("needs no right for a tag that is there already", async () => {
    const registry = await start();
    const image = imageOf([await storeBlob(registry, app, "config")]);
    await push(registry, app, { of: image, tags: ["v1"] });
    const mayNothing = withTagRights(registry, () => denied);
    expect(await codesOf(push(mayNothing, app, { of: image, tags: ["v1"] }))).toEqual([]);
  });

  it("refuses a subject that is no descriptor, and takes one that is absent", async () => {
    const registry = await start();
    const config = await storeBlob(registry, app, "config");
    const subject = { mediaType: ociManifest, digest: digestOf("later"), size: 1 };
    await push(registry, app, { of: imageOf([config], { subject }) });
    expect(() => manifestOf({ schemaVersion: 2, subject: { ...subject, digest: "x" } })).toThrow();
    expect(await countRows(registry)).toMatchObject({ edges: 1, repository_manifests: 1 });
  });
});
