import { afterAll, expect, it } from "bun:test";
import { mkdtemp, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describeEachDatabase } from "../../test/support/databases.ts";
import {
  codesOf,
  countRows,
  digestOf,
  imageOf,
  keysOf,
  push,
  repositoryName,
  storeBlob,
  testRegistry,
} from "../../test/support/registry.ts";
import { chunksOf } from "../platform/blobs/blob-body.ts";
import type { BlobStore } from "../platform/blobs/blob-store.ts";
import { openFilesystemBlobStore } from "../platform/blobs/filesystem/filesystem-blob-store.ts";
import { findBlob, mountBlob } from "./blobs.ts";
import { collect } from "./collect.ts";
import { findManifest } from "./manifests.ts";
import { registryMigrations } from "./migrations.ts";
import type { Registry } from "./registry.ts";
import { requireWhole, verifiedBytes } from "./sound-blob.ts";

const app = repositoryName("team/app");
const other = repositoryName("team/other");
const text = "the bytes of a blob";
const digest = digestOf(text);
const folders: string[] = [];
afterAll(() => Promise.all(folders.map((folder) => rm(folder, { recursive: true, force: true }))), 60_000);

/** Ways in which a disk loses a file's bytes; each hands back what the file is afterwards. */
const damages: Readonly<Record<string, (file: string) => Promise<void>>> = {
  "a missing file": (file) => rm(file),
  "a file that is cut short": (file) => truncate(file, 5),
  "other bytes in a file of the right size": async (file) => {
    const bytes = await readFile(file);
    await writeFile(file, bytes.fill("x", 3, 4));
  },
};

const contentOf = async (registry: Registry): Promise<string> => {
  const blob = await findBlob(registry, app, digest);
  const body = await registry.blobs.open(blob.key);
  return body === undefined ? "" : Buffer.concat(await Array.fromAsync(chunksOf(body))).toString();
};

describeEachDatabase("damaged bytes", (_dialect, open) => {
  async function start() {
    const folder = await mkdtemp(join(tmpdir(), "berth-repair-"));
    folders.push(folder);
    const store = await openFilesystemBlobStore(folder);
    let opened = 0;
    const blobs: BlobStore = {
      ...store,
      open(...given) {
        opened += 1;
        return store.open(...given);
      },
    };
    const registry = testRegistry(await open([registryMigrations]), { blobs });
    const fileOf = async (): Promise<string> => {
      const { blob_key: key } = await registry.database.read
        .selectFrom("blobs")
        .select("blob_key")
        .where("digest", "=", digest)
        .executeTakeFirstOrThrow();
      return join(folder, "blobs", key.slice(0, 2), key);
    };
    return { registry, fileOf, opened: () => opened };
  }
  for (const [name, damage] of Object.entries(damages)) {
    it(`are replaced by the next push of the content: ${name}`, async () => {
      const { registry, fileOf } = await start();
      await storeBlob(registry, app, text);
      const before = await fileOf();
      await damage(before);
      await storeBlob(registry, other, text);
      expect(await fileOf()).not.toBe(before);
      expect(await contentOf(registry)).toBe(text);
      // The old bytes may be on their way to a reader, and go when no link to them can be alive.
      expect(await countRows(registry)).toMatchObject({ blobs: 1, repository_blobs: 2, doomed_blobs: 1 });
      const doomed = await registry.database.read.selectFrom("doomed_blobs").selectAll().executeTakeFirstOrThrow();
      expect(before).toEndWith(doomed.blob_key);
      expect(doomed.delete_after).toBeGreaterThan(Date.now() + 60_000);
      await registry.database.write((tx) => tx.updateTable("doomed_blobs").set({ delete_after: 1 }).execute());
      await collect(registry);
      expect(await keysOf(registry.blobs)).toHaveLength(1);
      expect(await contentOf(registry)).toBe(text);
    });
  }

  it("are seen as soon as they are missing or cut short, and then no push or mount counts on them", async () => {
    for (const damage of [damages["a missing file"], damages["a file that is cut short"]]) {
      const { registry, fileOf } = await start();
      await storeBlob(registry, app, text);
      await requireWhole(registry, await findBlob(registry, app, digest));
      const mount = { repository: other, digest, sources: [app] };
      await damage?.(await fileOf());
      expect(await codesOf(requireWhole(registry, await findBlob(registry, app, digest)))).toEqual(["BLOB_DAMAGED"]);
      expect(await mountBlob(registry, mount)).toBe(false);
      await storeBlob(registry, app, text);
      await requireWhole(registry, await findBlob(registry, app, digest));
      expect(await mountBlob(registry, mount)).toBe(true);
    }
  });

  it("that were marked are nobody's until they are pushed again", async () => {
    const { registry } = await start();
    await storeBlob(registry, app, text);
    await registry.database.write((tx) => tx.updateTable("blobs").set({ damaged_at: 1 }).execute());
    expect(await codesOf(findBlob(registry, app, digest))).toEqual(["BLOB_DAMAGED"]);
    expect(await mountBlob(registry, { repository: other, digest, sources: [app] })).toBe(false);
    await storeBlob(registry, app, text);
    expect(await contentOf(registry)).toBe(text);
  });

  it("are looked for at no cost where the content came in here, and else once, however many push it", async () => {
    const { registry, opened } = await start();
    const pushAtOnce = (to: Registry): Promise<unknown> =>
      Promise.all(Array.from({ length: 20 }, () => storeBlob(to, app, text)));
    await storeBlob(registry, app, text);
    await pushAtOnce(registry);
    expect(opened()).toBe(0);
    const restarted = { ...registry, verified: verifiedBytes() };
    await pushAtOnce(restarted);
    await pushAtOnce(restarted);
    expect(opened()).toBe(1);
    expect(await countRows(registry)).toMatchObject({ blobs: 1, doomed_blobs: 60 });
    await collect(registry);
    expect(await keysOf(registry.blobs)).toHaveLength(1);
  });

  it("of two who repair at once, one counts", async () => {
    const { registry, fileOf } = await start();
    await storeBlob(registry, app, text);
    await rm(await fileOf());
    await Promise.all(Array.from({ length: 10 }, () => storeBlob(registry, app, text)));
    expect(await contentOf(registry)).toBe(text);
    const doomed = await registry.database.read.selectFrom("doomed_blobs").select("blob_key").execute();
    expect(doomed).toHaveLength(10);
    await registry.database.write((tx) => tx.updateTable("doomed_blobs").set({ delete_after: 1 }).execute());
    await collect(registry);
    expect(await contentOf(registry)).toBe(text);
  });

  it("of a manifest are replaced by its next push", async () => {
    const { registry } = await start();
    const image = imageOf([await storeBlob(registry, app, text)]);
    await push(registry, app, { of: image, tags: ["v1"] });
    await registry.database.write((tx) =>
      tx
        .updateTable("manifests")
        .set({ bytes: Buffer.from("{}") })
        .execute(),
    );
    await push(registry, app, { of: image, tags: ["v1"] });
    const { bytes } = await findManifest(registry, app, { kind: "digest", digest: image.digest });
    expect(Buffer.from(bytes).toString()).toBe(Buffer.from(image.bytes).toString());
  });
});

describeEachDatabase("the store's folder", (_dialect, open) => {
  it("that is gone is a failing storage, and no damage to blobs", async () => {
    const folder = await mkdtemp(join(tmpdir(), "berth-gone-"));
    folders.push(folder);
    const registry = testRegistry(await open([registryMigrations]), { blobs: await openFilesystemBlobStore(folder) });
    await storeBlob(registry, app, text);
    await rm(join(folder, "blobs"), { recursive: true });
    const [looked] = await Promise.allSettled([requireWhole(registry, await findBlob(registry, app, digest))]);
    expect(looked).toMatchObject({ status: "rejected", reason: { code: "EIO" } });
  });
});
