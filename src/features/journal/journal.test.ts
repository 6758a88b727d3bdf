import { expect, it } from "bun:test";
import { seeded } from "../../../test/hostile/fuzz/random.ts";
import { describeEachDatabase } from "../../../test/support/databases.ts";
import { changeAtRandom, documentsOf, journalOf, tablesOf, writerOf } from "../../../test/support/journal.ts";
import {
  countRows,
  deleteRepository,
  imageOf,
  push,
  repositoryName,
  storeBlob,
  testRegistry,
  testSettings,
} from "../../../test/support/registry.ts";
import { memoryBlobStore } from "../../platform/blobs/memory/memory-blob-store.ts";
import { boundEvents, consumerPosition } from "../../platform/events/consume-events.ts";
import { sequenceEvents } from "../../platform/events/positions.ts";
import { jobMigrations } from "../../platform/jobs/migrations.ts";
import { collect } from "../../registry/collect.ts";
import { registryMigrations } from "../../registry/migrations.ts";
import type { Registry } from "../../registry/registry.ts";
import { chooseJournal } from "./choose-journal.ts";
import { consumerName, ForeignJournalError } from "./journal.ts";
import { readState } from "./journal-state.ts";
import { journalMigrations } from "./migrations.ts";
import { rebuild } from "./rebuild.ts";
import { startProblem } from "./start-problem.ts";

const app = repositoryName("team/app");
const migrations = [jobMigrations, registryMigrations, journalMigrations];
const quietly = { replace: false, onProgress: () => undefined };
/** Bytes go as soon as their row, so that the collector's whole way is gone. */
const eager = { settings: { ...testSettings, deleteDelayMs: 0 } };

describeEachDatabase("the journal", (_dialect, open) => {
  const start = async (parts: Partial<Registry> = {}): Promise<Registry> =>
    testRegistry(await open(migrations), { ...eager, ...parts });
  /** A registry on an empty database and the same store, made from the journal. */
  const rebuilt = async (registry: Registry): Promise<Registry> => {
    const other = await start({ blobs: registry.blobs });
    expect(await rebuild(other, quietly)).toMatchObject({ kind: "rebuilt", findings: [] });
    return other;
  };

  it.each([1, 2])("makes the tables anew, wherever snapshots came between random changes (seed %d)", async (seed) => {
    const random = seeded(seed);
    const registry = await start();
    const writer = writerOf(journalOf(registry));
    let made = 0;
    for (let round = 0; round < 3; round++) {
      made += await changeAtRandom(registry, random, 14);
      if (random.chance(2)) await writer.write();
      // While a snapshot is being written, the tables go on changing.
      if (round < 2) await Promise.all([writer.snapshot(), changeAtRandom(registry, random, 8)]);
    }
    await writer.write();
    expect(made).toBeGreaterThan(15);
    const expected = await tablesOf(registry);
    const anew = await rebuilt(registry);
    expect(await tablesOf(anew)).toEqual(expected);
    // What a manifest names lasts, and everything else as long as if it had just been pushed.
    const named = await anew.database.read.selectFrom("edges").select(["repository_id", "child"]).execute();
    const isNamed = new Set(named.map((edge) => `${String(edge.repository_id)} ${edge.child}`));
    for (const held of await anew.database.read.selectFrom("repository_blobs").selectAll().execute()) {
      const isEndless = held.leased_until === Number.MAX_SAFE_INTEGER;
      expect(isEndless).toBe(isNamed.has(`${String(held.repository_id)} ${held.digest}`));
      expect(held.leased_until).toBeGreaterThan(Date.now() + testSettings.leaseMs / 2);
    }
    // A judge that sees a row too few.
    await registry.database.write((tx) => tx.deleteFrom("tags").execute());
    await registry.database.write((tx) => tx.deleteFrom("repositories").where("name", "=", "three").execute());
    expect(await tablesOf(registry)).not.toEqual(expected);
  });

  it("is written by any number of processes at once, each change once", async () => {
    const registry = await start();
    const writers = [1, 2, 3].map(() => writerOf(journalOf(registry)));
    const changing = changeAtRandom(registry, seeded(7), 20);
    const over = new AbortController();
    const writing = writers.map(async (writer) => {
      while (!over.signal.aborted) {
        await writer.write();
        await Bun.sleep(1);
      }
    });
    await changing;
    over.abort();
    await Promise.all(writing);
    await Promise.all(writers.map((writer) => writer.write()));
    await writers[0]?.snapshot();
    expect((await readState(registry.database.read))?.epoch).toBe(1);
    expect(await tablesOf(await rebuilt(registry))).toEqual(await tablesOf(registry));
  });

  it("tells what many have changed at once in an order that gives the same again", async () => {
    const registry = await start();
    const writer = writerOf(journalOf(registry));
    await Promise.all([1, 2, 3, 4].map((seed) => changeAtRandom(registry, seeded(seed), 25)));
    await collect(registry);
    await writer.write();
    await writer.snapshot();
    await Promise.all([writer.snapshot(), ...[5, 6, 7, 8].map((seed) => changeAtRandom(registry, seeded(seed), 25))]);
    await collect(registry);
    await writer.write();
    expect(await tablesOf(await rebuilt(registry))).toEqual(await tablesOf(registry));
  });

  it("brings nothing back of a repository that is deleted, wherever it ends", async () => {
    const registry = await start();
    const writer = writerOf(journalOf(registry));
    const image = imageOf([await storeBlob(registry, app, "config")]);
    await push(registry, app, { of: image, tags: ["latest"] });
    await writer.snapshot();
    await deleteRepository(registry, app);
    // What the collector removes of it is told later: here first by no segment, then by no snapshot either.
    for (const write of [() => writer.write(), () => writer.snapshot()]) {
      await write();
      const anew = await rebuilt(registry);
      const none = { repositories: 0, blobs: 0, repository_blobs: 0, manifests: 0, repository_manifests: 0, tags: 0 };
      expect(await countRows(anew)).toMatchObject({ ...none, edges: 0, doomed_blobs: 1 });
    }
  });

  it("goes on after a rebuild, and a rebuild of that is the same again", async () => {
    const registry = await start();
    const writer = writerOf(journalOf(registry));
    await changeAtRandom(registry, seeded(11), 15);
    await writer.snapshot();
    const second = await rebuilt(registry);
    const next = writerOf(journalOf(second));
    await changeAtRandom(second, seeded(12), 15);
    await next.write();
    // Until the new epoch has its first snapshot, the old one is what there is.
    expect((await chooseJournal(second.blobs.documents)).chosen?.snapshot.epoch).toBe(1);
    await next.snapshot();
    expect((await readState(second.database.read))?.epoch).toBe(2);
    expect((await readState(second.database.read))?.registry).toBe(
      (await readState(registry.database.read))?.registry ?? "",
    );
    expect(await tablesOf(await rebuilt(second))).toEqual(await tablesOf(second));
  });

  it("begins anew where changes were dropped, or the database or the store is of another time", async () => {
    const registry = await start();
    const epoch = async () => (await readState(registry.database.read))?.epoch;
    const journal = journalOf(registry);
    await writerOf(journal).snapshot();
    await storeBlob(registry, app, "one");
    await storeBlob(registry, app, "two");
    await sequenceEvents(registry.database);
    await boundEvents(registry.database, 1);
    await writerOf(journal).write();
    expect(await epoch()).toBe(2);
    await writerOf(journal).snapshot();
    expect(await tablesOf(await rebuilt(registry))).toEqual(await tablesOf(registry));

    // The database is put back to what it was a segment ago.
    await storeBlob(registry, app, "three");
    const state = await readState(registry.database.read);
    const position = (await consumerPosition(registry.database.read, consumerName)) ?? 0;
    await writerOf(journal).write();
    await registry.database.write(async (tx) => {
      await tx.updateTable("event_consumers").set({ position }).execute();
      await tx
        .updateTable("journal_state")
        .set({ last_segment: state?.last_segment ?? 0 })
        .execute();
    });
    await storeBlob(registry, app, "four");
    await registry.database.write((tx) => tx.updateTable("event_outbox").set({ recorded_at: 1 }).execute());
    await writerOf(journal).write();
    expect(await epoch()).toBe(3);
    await writerOf(journal).snapshot();
    expect(await tablesOf(await rebuilt(registry))).toEqual(await tablesOf(registry));

    // The store has lost what was written last.
    await registry.blobs.documents.delete(await documentsOf(registry, "snapshot-000003"));
    await storeBlob(registry, app, "five");
    await writerOf(journal).write();
    expect(await epoch()).toBe(4);
    await writerOf(journal).snapshot();
    expect(await tablesOf(await rebuilt(registry))).toEqual(await tablesOf(registry));
  });

  it("takes up a segment that a process wrote before it could say so", async () => {
    const registry = await start();
    const journal = journalOf(registry);
    await writerOf(journal).snapshot();
    await storeBlob(registry, app, "one");
    await sequenceEvents(registry.database);
    let isDead = true;
    const dying = {
      ...registry.database,
      write: ((work) =>
        isDead ? Promise.reject(new Error("killed")) : registry.database.write(work)) as typeof registry.database.write,
    };
    await Promise.allSettled([writerOf({ ...journal, database: dying }).write()]);
    isDead = false;
    const before = await documentsOf(registry, "segment-");
    expect(before).toHaveLength(1);
    await storeBlob(registry, app, "two");
    await writerOf(journal).write();
    expect((await readState(registry.database.read))?.epoch).toBe(1);
    expect((await documentsOf(registry, "segment-")).length).toBe(2);
    expect(await tablesOf(await rebuilt(registry))).toEqual(await tablesOf(registry));
  });

  it("keeps two snapshots, and the segments from the older one on", async () => {
    const registry = await start();
    const writer = writerOf(journalOf(registry));
    for (let round = 1; round <= 4; round++) {
      await changeAtRandom(registry, seeded(round), 5);
      await writer.write();
      await writer.snapshot();
    }
    const indexes = (await documentsOf(registry, "snapshot-")).filter((name) => name.endsWith("-index"));
    expect(indexes.map(String)).toEqual(["snapshot-000001-000003-index", "snapshot-000001-000004-index"]);
    // Should the newest be lost, the other makes the same of the segments behind it.
    const [, newest] = indexes;
    if (newest !== undefined) await registry.blobs.documents.delete([newest]);
    expect(await tablesOf(await rebuilt(registry))).toEqual(await tablesOf(registry));
    expect((await chooseJournal(registry.blobs.documents)).chosen?.snapshot.number).toBe(3);
  });

  it("touches no other registry's journal, and no server begins an empty registry beside one", async () => {
    const blobs = memoryBlobStore();
    const registry = await start({ blobs });
    await storeBlob(registry, app, "one");
    await writerOf(journalOf(registry)).snapshot();
    const stranger = await start({ blobs });
    expect(await startProblem(stranger)).toContain("berth rebuild");
    expect(await startProblem(registry)).toBeUndefined();
    const elsewhere = await start();
    await writerOf(journalOf(elsewhere)).snapshot();
    const before = await blobs.documents.list();
    const [outcome] = await Promise.allSettled([writerOf(journalOf({ ...elsewhere, blobs })).write()]);
    expect(outcome.status === "rejected" && outcome.reason).toBeInstanceOf(ForeignJournalError);
    expect(await blobs.documents.list()).toEqual(before);
  });

  it("is rebuilt into an empty database alone, unless somebody says so; half a rebuild serves nobody", async () => {
    const registry = await start();
    await changeAtRandom(registry, seeded(5), 12);
    await writerOf(journalOf(registry)).snapshot();
    const expected = await tablesOf(registry);
    expect(await rebuild(registry, quietly)).toEqual({ kind: "not-empty" });
    const other = await rebuilt(registry);
    await other.database.write((tx) => tx.updateTable("journal_state").set({ rebuilding: 1 }).execute());
    expect(await startProblem(other)).toContain("--replace");
    expect(await rebuild(other, quietly)).toEqual({ kind: "not-empty" });
    expect(await rebuild(other, { ...quietly, replace: true })).toMatchObject({ kind: "rebuilt", findings: [] });
    expect(await tablesOf(other)).toEqual(expected);
    expect(await startProblem(other)).toBeUndefined();
  });

  it("that is not there makes nothing", async () => {
    const registry = await start();
    expect(await rebuild(registry, quietly)).toMatchObject({ kind: "no-journal" });
    expect(Object.values(await countRows(registry)).every((count) => count === 0)).toBe(true);
  });
});
