import { expect, it } from "bun:test";
import { describeEachDatabase } from "../../test/support/databases.ts";
import {
  chunks,
  codesOf,
  countRows,
  deleteRepository,
  endLeases,
  imageOf,
  indexOf,
  keysOf,
  push,
  repositoryName,
  storeBlob,
  tagsOf,
  testRegistry,
  testSettings,
} from "../../test/support/registry.ts";
import { findBlob } from "./blobs.ts";
import { collect } from "./collect.ts";
import { findManifest } from "./manifests.ts";
import { registryMigrations } from "./migrations.ts";
import type { Registry } from "./registry.ts";
import { findRepository } from "./repositories.ts";
import { appendUpload } from "./uploads/append-upload.ts";
import { startUpload } from "./uploads/start-upload.ts";

const app = repositoryName("team/app");
const other = repositoryName("team/other");
const empty = {
  repositories: 0,
  doomed_repositories: 0,
  tags: 0,
  edges: 0,
  manifests: 0,
  repository_manifests: 0,
  blobs: 0,
  repository_blobs: 0,
};

describeEachDatabase("deleting a repository", (_dialect, open) => {
  const start = async (): Promise<Registry> =>
    testRegistry(await open([registryMigrations]), { settings: { ...testSettings, deleteDelayMs: 0 } });

  it("takes all that is in it at once, and what gets its name is another", async () => {
    const registry = await start();
    const [config, shared] = [await storeBlob(registry, app, "config"), await storeBlob(registry, app, "shared")];
    const image = imageOf([config, shared]);
    await push(registry, app, { of: image, tags: ["v1", "v2"] });
    await push(registry, app, { of: indexOf([image.digest]), tags: ["all"] });
    await storeBlob(registry, other, "shared");
    const id = await findRepository(registry.database.read, app);
    expect(await deleteRepository(registry, app)).toEqual({ id: id ?? 0, tags: 3, manifests: 2, uploads: 0 });
    expect(await deleteRepository(registry, app)).toBeUndefined();
    expect(await tagsOf(registry, app)).toEqual({});
    expect(await codesOf(findBlob(registry, app, config))).toEqual(["BLOB_UNKNOWN"]);
    const byDigest = { kind: "digest", digest: image.digest } as const;
    expect(await codesOf(findManifest(registry, app, byDigest))).toEqual(["NAME_UNKNOWN"]);
    await storeBlob(registry, app, "new");
    expect(await findRepository(registry.database.read, app)).toBeGreaterThan(id ?? 0);
    expect(await codesOf(push(registry, app, { of: image }))).toEqual([
      "MANIFEST_BLOB_UNKNOWN",
      "MANIFEST_BLOB_UNKNOWN",
    ]);
    // And the second copy of what both had.
    expect(await collect(registry)).toEqual({ uploads: 0, memberships: 0, blobs: 1, files: 2 });
    expect(await codesOf(findBlob(registry, app, config))).toEqual(["BLOB_UNKNOWN"]);
    expect((await findBlob(registry, other, shared)).digest).toBe(shared);
    expect(await countRows(registry)).toMatchObject({
      ...empty,
      repositories: 2,
      blobs: 2,
      repository_blobs: 2,
      doomed_blobs: 0,
    });
  });

  it("ends the pushes to it that have begun, with their bytes", async () => {
    const registry = await start();
    await storeBlob(registry, other, "kept");
    const target = { repository: app, principal: "tester" };
    const begin = () => startUpload(registry, { ...target, algorithm: "sha256" });
    const [id] = [await begin(), await begin()];
    await appendUpload(registry, { ...target, id }, { start: 0, chunks: chunks("bytes"), lengthBytes: 5 });
    await storeBlob(registry, app, "bytes");
    expect(await deleteRepository(registry, app)).toMatchObject({ uploads: 2 });
    const late = appendUpload(registry, { ...target, id }, { start: 5, chunks: chunks("more"), lengthBytes: 4 });
    expect(await codesOf(late)).toEqual(["BLOB_UPLOAD_UNKNOWN"]);
    await collect(registry);
    expect(await countRows(registry)).toMatchObject({
      ...empty,
      uploads: 0,
      repositories: 1,
      blobs: 1,
      repository_blobs: 1,
    });
    expect(await keysOf(registry.blobs)).toHaveLength(1);
  });

  it("goes on in steps where it is large, whichever collector takes them", async () => {
    const registry = await start();
    const config = await storeBlob(registry, app, "config");
    await push(registry, app, { of: imageOf([config]) });
    const { database } = registry;
    const id = (await findRepository(database.read, app)) ?? 0;
    const tags = Array.from({ length: 450 }, (_, at) => `tag-${String(at)}`);
    const row = { repository_id: id, digest: config, created_at: 1, updated_at: 1 };
    await database.write((tx) =>
      tx
        .insertInto("tags")
        .values(tags.map((name) => ({ ...row, name })))
        .execute(),
    );
    for (let at = 0; at < 60; at += 1) await push(registry, app, { of: imageOf([config], { at }) });
    expect(await deleteRepository(registry, app)).toMatchObject({ tags: 450, manifests: 61 });
    await Promise.all([collect(registry), collect(registry), collect(registry)]);
    await collect(registry);
    expect(await countRows(registry)).toMatchObject(empty);
    expect(await keysOf(registry.blobs)).toEqual([]);
  });

  it("leaves nothing of pushes, deletes and collectors at the same time that is half of one", async () => {
    const registry = await start();
    const pushOnce = async (text: string): Promise<void> => {
      const [shared, own] = [await storeBlob(registry, app, "shared"), await storeBlob(registry, app, text)];
      await push(registry, app, { of: imageOf([shared, own]), tags: ["latest"] });
    };
    const pushing = async (worker: number): Promise<void> => {
      for (let round = 0; round < 10; round += 1) {
        const codes = await codesOf(pushOnce(`own ${String(worker)} ${String(round)}`));
        for (const code of codes) expect(["MANIFEST_BLOB_UNKNOWN", "BLOB_UPLOAD_UNKNOWN"]).toContain(code);
      }
    };
    const deleting = async (): Promise<void> => {
      for (let round = 0; round < 15; round += 1) {
        await deleteRepository(registry, app);
        await endLeases(registry);
        await collect(registry);
      }
    };
    await Promise.all([pushing(1), pushing(2), pushing(3), deleting(), deleting()]);
    const halves = await registry.database.read
      .selectFrom("edges")
      .leftJoin("repository_blobs", (join) =>
        join
          .onRef("repository_blobs.repository_id", "=", "edges.repository_id")
          .onRef("repository_blobs.digest", "=", "edges.child"),
      )
      .leftJoin("repositories", "repositories.id", "edges.repository_id")
      .select(["edges.child", "repositories.name"])
      .where(({ or, eb }) => or([eb("repository_blobs.digest", "is", null), eb("repositories.id", "is", null)]))
      .execute();
    expect(halves).toEqual([]);
    await deleteRepository(registry, app);
    await collect(registry);
    expect(await countRows(registry)).toMatchObject(empty);
    expect(await keysOf(registry.blobs)).toEqual([]);
  });
});
