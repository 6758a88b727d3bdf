import { expect, it } from "bun:test";
import { sql } from "kysely";
import { describeEachDatabase } from "../../test/support/databases.ts";
import {
  chunks,
  codesOf,
  countRows,
  digestOf,
  endLeases,
  imageOf,
  indexOf,
  keysOf,
  leasesOf,
  push,
  repositoryName,
  storeBlob,
  testRegistry,
  testSettings,
} from "../../test/support/registry.ts";
import { newBlobKey } from "../platform/blobs/blob-store.ts";
import { deleteBlob, findBlob, mountBlob, renewLease } from "./blobs.ts";
import { collect } from "./collect.ts";
import { deleteManifest } from "./delete-manifest.ts";
import { findManifest } from "./manifests.ts";
import { registryMigrations } from "./migrations.ts";
import type { Registry } from "./registry.ts";
import { appendUpload } from "./uploads/append-upload.ts";
import { finishUpload } from "./uploads/finish-upload.ts";
import { startUpload } from "./uploads/start-upload.ts";

const app = repositoryName("team/app");
const other = repositoryName("team/other");
const nothing = { uploads: 0, memberships: 0, blobs: 0, files: 0 };
const withoutDelay = { settings: { ...testSettings, deleteDelayMs: 0 } };

describeEachDatabase("collecting", (dialect, open) => {
  const start = async (parts: Partial<Registry> = {}): Promise<Registry> =>
    testRegistry(await open([registryMigrations]), parts);

  it("removes a blob whose lease has run out: its row at once, its bytes after the delay", async () => {
    const registry = await start();
    const [old, fresh] = [await storeBlob(registry, app, "old"), await storeBlob(registry, app, "fresh")];
    const { key } = await findBlob(registry, app, old);
    await endLeases(registry, old);
    expect(await collect(registry)).toEqual({ ...nothing, memberships: 1, blobs: 1 });
    expect(await codesOf(findBlob(registry, app, old))).toEqual(["BLOB_UNKNOWN"]);
    expect((await findBlob(registry, app, fresh)).digest).toBe(fresh);
    expect(await collect(registry)).toEqual(nothing);
    expect(await keysOf(registry.blobs)).toContain(key);
    await registry.database.write((tx) => tx.updateTable("doomed_blobs").set({ delete_after: 1 }).execute());
    expect(await collect(registry)).toEqual({ ...nothing, files: 1 });
    expect(await keysOf(registry.blobs)).not.toContain(key);
    expect(await countRows(registry)).toMatchObject({ doomed_blobs: 0, blobs: 1, repository_blobs: 1 });
  });

  it("keeps a blob that another repository still has", async () => {
    const registry = await start();
    const digest = await storeBlob(registry, app, "bytes");
    await endLeases(registry);
    await storeBlob(registry, other, "bytes");
    expect(await collect(registry)).toMatchObject({ memberships: 1, blobs: 0 });
    expect((await findBlob(registry, other, digest)).digest).toBe(digest);
  });

  it("never looks at what a manifest names: its lease is not in the index before now", async () => {
    const registry = await start();
    const blobs = [await storeBlob(registry, app, "config"), await storeBlob(registry, app, "layer")] as const;
    const cached = await storeBlob(registry, app, "cached");
    await push(registry, app, { of: imageOf(blobs) });
    await push(registry, app, { of: indexOf([cached]) });
    await endLeases(registry);
    expect(Object.values(await leasesOf(registry, app)).every((lease) => lease > 1e15)).toBe(true);
    expect(await collect(registry)).toEqual(nothing);
  });

  it("keeps what a manifest names though its lease has run out, and finds it only once", async () => {
    const registry = await start();
    const digest = await storeBlob(registry, app, "config");
    const of = imageOf([digest]);
    await push(registry, app, { of });
    await deleteBlob(registry, app, digest);
    await storeBlob(registry, app, "config");
    await endLeases(registry);
    expect(await collect(registry)).toEqual(nothing);
    expect((await leasesOf(registry, app))[digest]).toBeGreaterThan(1e15);
    await deleteManifest(registry, app, of.digest);
    await endLeases(registry);
    expect(await collect(registry)).toMatchObject({ memberships: 1, blobs: 1 });
  });

  it("goes through more than one step's worth", async () => {
    const registry = await start(withoutDelay);
    const first = await storeBlob(registry, app, "blob 0");
    const { repository_id } = await registry.database.read
      .selectFrom("repository_blobs")
      .select("repository_id")
      .where("digest", "=", first)
      .executeTakeFirstOrThrow();
    const digests = Array.from({ length: 229 }, (_, number) => digestOf(`blob ${number + 1}`));
    await registry.database.write(async (tx) => {
      const blobs = digests.map((digest) => ({ digest, blob_key: newBlobKey(), size_bytes: 1, created_at: 1 }));
      await tx.insertInto("blobs").values(blobs).execute();
      const members = digests.map((digest) => ({ repository_id, digest, leased_until: 1 }));
      await tx.insertInto("repository_blobs").values(members).execute();
    });
    const kept = [await storeBlob(registry, app, "kept"), await storeBlob(registry, app, "blob 0")] as const;
    await push(registry, app, { of: imageOf(kept) });
    await endLeases(registry);
    expect(await collect(registry)).toEqual({ uploads: 0, memberships: 229, blobs: 229, files: 230 });
    expect(await countRows(registry)).toMatchObject({ blobs: 2, repository_blobs: 2, doomed_blobs: 0 });
    expect((await keysOf(registry.blobs)).length).toBe(2);
  });

  it("ends uploads by their last activity, with their bytes, and no sooner", async () => {
    const registry = await start();
    const target = { repository: app, principal: "tester" };
    const begin = async (text: string) => {
      const id = await startUpload(registry, { ...target, algorithm: "sha256" });
      await appendUpload(registry, { ...target, id }, { start: 0, chunks: chunks(text), lengthBytes: undefined });
      return id;
    };
    const [idle, active, held] = [await begin("idle"), await begin("active"), await begin("held")];
    const set = (id: string, values: { readonly active_at?: number; readonly held_until?: number }) =>
      registry.database.write((tx) =>
        tx
          .updateTable("uploads")
          .set({ started_at: 1, ...values })
          .where("id", "=", id)
          .execute(),
      );
    const longAgo = Date.now() - testSettings.uploads.idleMs;
    await set(idle, { active_at: longAgo - 60_000 });
    await set(active, { active_at: longAgo + 60_000 });
    await set(held, { active_at: longAgo - 60_000, held_until: Date.now() + 60_000 });
    expect(await collect(registry)).toEqual({ ...nothing, uploads: 1, files: 1 });
    const left = await registry.database.read.selectFrom("uploads").select("id").execute();
    expect(left.map(({ id }) => id).toSorted()).toEqual([active, held].toSorted());
    const finish = { start: 4, chunks: chunks(), lengthBytes: 0 };
    const digest = await storeBlob(registry, app, "idle");
    expect(await codesOf(finishUpload(registry, { ...target, id: idle }, { ...finish, digest }))).toEqual([
      "BLOB_UPLOAD_UNKNOWN",
    ]);
  });

  it("spares a session that another transaction claims at this moment", async () => {
    const registry = await start();
    const target = { repository: app, principal: "tester" };
    const id = await startUpload(registry, { ...target, algorithm: "sha256" });
    await registry.database.write((tx) => tx.updateTable("uploads").set({ started_at: 1, active_at: 1 }).execute());
    const claimed = Promise.withResolvers<void>();
    const claiming = registry.database.write(async (tx) => {
      await tx.updateTable("uploads").set({ active_at: Date.now() }).execute();
      claimed.resolve();
      // Long enough for the collector to find the row and wait for it; SQLite has one writer, who may not dawdle.
      if (dialect === "postgres") await Bun.sleep(200);
    });
    await claimed.promise;
    const [collected] = await Promise.all([collect(registry), claiming]);
    expect(collected).toEqual(nothing);
    const chunk = { start: 0, chunks: chunks("bytes"), lengthBytes: 5 };
    expect(await appendUpload(registry, { ...target, id }, chunk)).toMatchObject({ id, size: 5 });
  });

  it("deletes the bytes of an upload that was finished, and whose process ended before it was a blob", async () => {
    const registry = await start();
    const target = { repository: app, principal: "tester" };
    const id = await startUpload(registry, { ...target, algorithm: "sha256" });
    await appendUpload(registry, { ...target, id }, { start: 0, chunks: chunks("bytes"), lengthBytes: 5 });
    const row = await registry.database.read.selectFrom("uploads").selectAll().executeTakeFirstOrThrow();
    await registry.blobs.finish({ key: row.blob_key, state: row.state } as never, 5);
    expect(await keysOf(registry.blobs)).toEqual([row.blob_key]);
    await registry.database.write((tx) => tx.updateTable("uploads").set({ started_at: 1, active_at: 1 }).execute());
    expect(await collect(registry)).toEqual({ ...nothing, uploads: 1, files: 1 });
    expect(await keysOf(registry.blobs)).toEqual([]);
  });
});

/** Every manifest of the registry has all its blobs, and every blob its bytes. */
async function checkWhole(registry: Registry): Promise<void> {
  const missing = await registry.database.read
    .selectFrom("edges")
    .leftJoin("repository_blobs", (join) =>
      join
        .onRef("repository_blobs.repository_id", "=", "edges.repository_id")
        .onRef("repository_blobs.digest", "=", "edges.child"),
    )
    .leftJoin("blobs", "blobs.digest", "repository_blobs.digest")
    .select(["edges.parent", "edges.child", "blobs.blob_key"])
    .execute();
  const keys = new Set(await keysOf(registry.blobs));
  expect(missing.filter(({ blob_key }) => blob_key === null || !keys.has(blob_key))).toEqual([]);
}

describeEachDatabase("collecting while others write", (_dialect, open) => {
  const start = async (): Promise<Registry> => testRegistry(await open([registryMigrations]), withoutDelay);
  const rounds = 30;

  it("no manifest ends without its blobs", async () => {
    const registry = await start();
    const outcomes = { pushed: 0, refused: 0 };
    for (let round = 0; round < rounds; round++) {
      const blobs = [
        await storeBlob(registry, app, `config ${round}`),
        await storeBlob(registry, app, `layer ${round}`),
      ] as const;
      await endLeases(registry);
      const of = imageOf(blobs);
      const pushing = async () => {
        if (round % 2 === 1) await sql`select 1`.execute(registry.database.read);
        return codesOf(push(registry, app, { of, tags: ["v1"] }));
      };
      const [codes] = await Promise.all([pushing(), collect(registry)]);
      outcomes[codes.length === 0 ? "pushed" : "refused"] += 1;
      if (codes.length > 0) expect(new Set(codes)).toEqual(new Set(["MANIFEST_BLOB_UNKNOWN"]));
      else expect((await findManifest(registry, app, { kind: "digest", digest: of.digest })).digest).toBe(of.digest);
    }
    await collect(registry);
    await checkWhole(registry);
    expect(outcomes.pushed + outcomes.refused).toBe(rounds);
  });

  it("no index ends without the blobs that it had, though it needs none", async () => {
    const registry = await start();
    for (let round = 0; round < rounds; round++) {
      const blob = await storeBlob(registry, app, `cached ${round}`);
      await endLeases(registry);
      const [{ absent }] = await Promise.all([push(registry, app, { of: indexOf([blob]) }), collect(registry)]);
      const found = await codesOf(findBlob(registry, app, blob));
      expect(found).toEqual(absent.length === 0 ? [] : ["BLOB_UNKNOWN"]);
    }
  });

  it("what is mounted, renewed or pushed again stays", async () => {
    const registry = await start();
    for (let round = 0; round < rounds; round++) {
      const text = `round ${round}`;
      const digest = await storeBlob(registry, app, text);
      await endLeases(registry);
      const [isMounted, renewal] = await Promise.all([
        mountBlob(registry, { repository: other, digest, sources: [app] }),
        codesOf(renewLease(registry, app, digest)),
        collect(registry),
        ...(round % 3 === 0 ? [storeBlob(registry, app, text)] : []),
      ]);
      expect(await codesOf(findBlob(registry, other, digest))).toEqual(isMounted ? [] : ["BLOB_UNKNOWN"]);
      const mayBeGone = round % 3 !== 0 && renewal.length > 0;
      if (!mayBeGone) expect((await leasesOf(registry, app))[digest]).toBeGreaterThan(0);
    }
    await checkWhole(registry);
  });

  it("pushes, deletes and several collectors at once come to a good end", async () => {
    const registry = await start();
    const shared = await storeBlob(registry, app, "shared");
    const work = async (worker: number): Promise<void> => {
      for (let round = 0; round < 12; round++) {
        const own = await storeBlob(registry, app, `own ${worker} ${round}`);
        const of = imageOf(round % 2 === 0 ? [shared, own] : [own, shared]);
        await storeBlob(registry, app, "shared");
        const codes = await codesOf(push(registry, app, { of, tags: [`w${worker}`, "latest"] }));
        if (codes.length === 0 && round % 3 === 0) await deleteManifest(registry, app, of.digest);
      }
    };
    const collectAll = async (): Promise<void> => {
      for (let round = 0; round < 20; round++) {
        await endLeases(registry);
        await collect(registry);
      }
    };
    await Promise.all([...Array.from({ length: 5 }, (_, worker) => work(worker)), collectAll(), collectAll()]);
    await checkWhole(registry);
    await endLeases(registry);
    await collect(registry);
    const { blobs, repository_blobs, doomed_blobs } = await countRows(registry);
    expect([blobs, doomed_blobs]).toEqual([repository_blobs ?? -1, 0]);
    expect((await keysOf(registry.blobs)).length).toBe(blobs ?? -1);
  });
});
