import { Database as SqliteFile } from "bun:sqlite";
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { cp, mkdir, mkdtemp, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { documentsOf, journalOf, writerOf } from "../../../test/support/journal.ts";
import { imageOf, push, repositoryName, storeBlob, testRegistry } from "../../../test/support/registry.ts";
import { openFilesystemDocuments } from "../../platform/blobs/filesystem/filesystem-documents.ts";
import { memoryBlobStore } from "../../platform/blobs/memory/memory-blob-store.ts";
import { migrate } from "../../platform/database/migrations.ts";
import { openDatabase } from "../../platform/database/open-database.ts";
import { jobMigrations } from "../../platform/jobs/migrations.ts";
import { registryMigrations } from "../../registry/migrations.ts";
import type { Registry } from "../../registry/registry.ts";
import { journalMigrations } from "./migrations.ts";
import { rebuild, type Rebuilt } from "./rebuild.ts";

const app = repositoryName("team/app");

/** Only the journal is on the disk: what happens to blobs is another matter. */
const blobs = memoryBlobStore();

async function openAt(folder: string): Promise<Registry> {
  const database = await openDatabase({ url: `sqlite:${join(folder, "berth.sqlite")}` });
  await migrate(database, [jobMigrations, registryMigrations, journalMigrations]);
  return testRegistry(database, { blobs: { ...blobs, documents: await openFilesystemDocuments(folder) } });
}

/** What may happen to a document; what is said of it then. */
const faults: readonly {
  readonly what: string;
  readonly plant: (path: string, other: string) => Promise<unknown>;
  readonly says: string;
}[] = [
  { what: "missing", plant: (path) => rm(path), says: "is missing" },
  {
    what: "torn",
    plant: async (path) => truncate(path, (await readFile(path)).length - 10),
    says: "is torn",
  },
  { what: "torn in its first line", plant: (path) => truncate(path, 40), says: "is no document of a journal" },
  { what: "empty", plant: (path) => truncate(path, 0), says: "is no document of a journal" },
  {
    what: "altered",
    plant: async (path) => {
      const bytes = await readFile(path);
      const at = bytes.indexOf("\n") + 5;
      bytes[at] = (bytes[at] ?? 0) ^ 1;
      await writeFile(path, bytes);
    },
    says: "is altered",
  },
  {
    what: "altered in its first line",
    plant: async (path) =>
      writeFile(path, (await readFile(path, "latin1")).replace('"version":', '"version":1'), "latin1"),
    says: "is altered",
  },
  { what: "longer than it was", plant: (path) => writeFile(path, "more", { flag: "a" }), says: "is altered" },
  { what: "another one's", plant: (path, other) => cp(other, path), says: "is a document of another name" },
  { what: "a folder", plant: (path) => rm(path).then(() => mkdir(path)), says: "is no file" },
  { what: "a pipe", plant: (path) => rm(path).then(() => Bun.spawnSync(["mkfifo", path])), says: "is no file" },
];

const findingsOf = (rebuilt: Rebuilt) => ("findings" in rebuilt ? rebuilt.findings : []);

describe("a rebuild", () => {
  let folder = "";
  let whole = "";
  let segments: readonly string[] = [];
  let snapshots: readonly string[] = [];
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "berth-damage-"));
    whole = join(folder, "whole");
    await mkdir(whole);
    const registry = await openAt(whole);
    const writer = writerOf(journalOf(registry));
    await writer.snapshot();
    for (const tag of ["v1", "v2", "v3"]) {
      const config = await storeBlob(registry, app, `config ${tag}`);
      await push(registry, app, { of: imageOf([config]), tags: [tag] });
      await writer.write();
      if (tag === "v1") await writer.snapshot();
    }
    segments = (await documentsOf(registry, "segment-")).map(String);
    snapshots = (await documentsOf(registry, "snapshot-")).map(String);
    await registry.database.close();
    await rm(join(whole, "berth.sqlite"));
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  /** Rebuilds a copy with a fault in it. */
  const rebuildWith = async (
    plant: (journal: string) => Promise<unknown>,
  ): Promise<{ readonly rebuilt: Rebuilt; readonly tags: readonly unknown[] }> => {
    const data = await mkdtemp(join(folder, "copy-"));
    await cp(whole, data, { recursive: true });
    await plant(join(data, "journal"));
    const registry = await openAt(data);
    const rebuilt = await rebuild(registry, { replace: false, onProgress: () => undefined });
    await registry.database.close();
    const file = new SqliteFile(join(data, "berth.sqlite"), { readonly: true });
    const tags = file.query("select name from tags order by name").values().flat();
    file.close();
    await rm(data, { recursive: true });
    return { rebuilt, tags };
  };

  test("of a journal that is whole finds nothing", async () => {
    const { rebuilt, tags } = await rebuildWith(async () => undefined);
    expect(findingsOf(rebuilt)).toEqual([]);
    expect(tags).toEqual(["v1", "v2", "v3"]);
  });

  for (const { what, plant, says } of faults) {
    test(`names a segment that is ${what}, and takes nothing from behind it`, async () => {
      const [damaged = "", behind = ""] = segments.slice(-2);
      const { rebuilt, tags } = await rebuildWith((journal) =>
        plant(join(journal, damaged), join(journal, segments[0] ?? "")),
      );
      expect(findingsOf(rebuilt)).toEqual([
        { kind: "damaged-document", document: damaged, reason: expect.stringContaining(says) },
        { kind: "unused-document", document: behind },
      ]);
      expect(tags).toEqual(["v1"]);
    });
  }

  for (const { what, plant, says } of faults.filter((fault) => ["missing", "altered", "a pipe"].includes(fault.what))) {
    test(`names a part or an index of a snapshot that is ${what}, and begins with the one before`, async () => {
      const newest = snapshots.filter((name) => name.includes("-000002-"));
      for (const damaged of [newest.at(0) ?? "", newest.at(-1) ?? ""]) {
        // Without its index a snapshot never came to its end: nobody misses it.
        const isUnfinished = what === "missing" && damaged.endsWith("-index");
        const { rebuilt, tags } = await rebuildWith((journal) =>
          plant(join(journal, damaged), join(journal, segments[0] ?? "")),
        );
        expect(findingsOf(rebuilt)).toEqual(
          isUnfinished ? [] : [{ kind: "damaged-document", document: damaged, reason: expect.stringContaining(says) }],
        );
        expect(tags).toEqual(["v1", "v2", "v3"]);
      }
    });
  }

  test("names a segment of another registry", async () => {
    const other = await mkdtemp(join(folder, "other-"));
    const registry = await openAt(other);
    const writer = writerOf(journalOf(registry));
    await writer.snapshot();
    await storeBlob(registry, app, "foreign");
    await writer.write();
    const [foreign = ""] = await documentsOf(registry, "segment-");
    await registry.database.close();
    const [damaged = ""] = segments.slice(-2);
    const { rebuilt } = await rebuildWith((journal) => cp(join(other, "journal", foreign), join(journal, damaged)));
    expect(findingsOf(rebuilt)).toContainEqual({
      kind: "damaged-document",
      document: damaged,
      reason: expect.stringContaining("belongs to another registry"),
    });
  });

  test("makes nothing where no snapshot is whole, and names each", async () => {
    const indexes = snapshots.filter((name) => name.endsWith("-index"));
    const { rebuilt, tags } = await rebuildWith(async (journal) => {
      for (const index of indexes) await truncate(join(journal, index), 100);
      await writeFile(join(journal, "by-hand"), "a note");
    });
    expect(rebuilt.kind).toBe("no-journal");
    expect(findingsOf(rebuilt)).toEqual([
      { kind: "unknown-document", document: "by-hand" },
      ...indexes.toReversed().map((document) => ({
        kind: "damaged-document" as const,
        document,
        reason: expect.any(String),
      })),
    ]);
    expect(tags).toEqual([]);
  });
});
