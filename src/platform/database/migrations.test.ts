import { afterEach, expect, it } from "bun:test";
import { sql } from "kysely";
import { createTestDatabase, describeEachDatabase, type TestDatabase } from "../../../test/support/databases.ts";
import type { Database } from "./database.ts";
import { migrate, type Migration, type Migrations } from "./migrations.ts";
import { openDatabase } from "./open-database.ts";

/** A step that writes its name into a table of names. */
const noting = (name: string, more: Partial<Migration> = {}): Migration => ({
  name,
  up: async (tx) => {
    await sql`insert into notes (name) values (${name})`.execute(tx);
  },
  ...more,
});
const createNotes: Migration = {
  name: "202601010000_notes",
  up: ({ schema }, { text, identity }) =>
    schema.createTable("notes").addColumn("id", identity).addColumn("name", text).execute(),
};
const ownerOf = (owner: string, ...steps: readonly Migration[]): Migrations => ({ owner, steps });
const notesOf = async ({ read }: Database): Promise<readonly string[]> =>
  (await sql<{ name: string }>`select name from notes order by id`.execute(read)).rows.map(({ name }) => name);
async function failureOf(promise: Promise<unknown>): Promise<string> {
  const [result] = await Promise.allSettled([promise]);
  return result.status === "rejected" && result.reason instanceof Error ? result.reason.message : "no failure";
}

describeEachDatabase("migrating", (dialect, open) => {
  const storages: TestDatabase[] = [];
  const databases: Database[] = [];
  afterEach(async () => {
    for (const database of databases.splice(0)) await database.close();
    for (const storage of storages.splice(0)) await storage[Symbol.asyncDispose]();
  });
  async function createStorage(): Promise<TestDatabase> {
    const storage = await createTestDatabase(dialect);
    storages.push(storage);
    return storage;
  }
  async function openAgain({ url }: TestDatabase): Promise<Database> {
    const database = await openDatabase({ url });
    databases.push(database);
    return database;
  }

  it("runs each step once, in the order of the names, also one that came later", async () => {
    const database = await open();
    const [first, second, third] = ["202601020000_b", "202601030000_a", "202602010000_c"] as const;
    await migrate(database, [ownerOf("test", noting(second), createNotes, noting(first))]);
    await migrate(database, [ownerOf("test", noting(second), createNotes, noting(first))]);
    expect(await notesOf(database)).toEqual([first, second]);
    await migrate(database, [ownerOf("test", noting(third), noting(second), createNotes, noting(first))]);
    expect(await notesOf(database)).toEqual([first, second, third]);
  });

  it("undoes everything when one step fails, and can be run again", async () => {
    const database = await open();
    const failing = noting("202601030000_fails", {
      up: async (tx) => void (await sql`insert into nowhere values (1)`.execute(tx)),
    });
    const steps = [createNotes, noting("202601020000_b")];
    expect(await failureOf(migrate(database, [ownerOf("test", ...steps, failing)]))).toContain("nowhere");
    expect(await failureOf(notesOf(database))).toContain("notes");
    await migrate(database, [ownerOf("test", ...steps)]);
    expect(await notesOf(database)).toEqual(["202601020000_b"]);
  });

  it("keeps the owners apart, who may have steps of the same name", async () => {
    const database = await open();
    const step = noting("202601020000_same");
    await migrate(database, [ownerOf("one", createNotes, step), ownerOf("two", step)]);
    expect(await notesOf(database)).toEqual([step.name, step.name]);
    // An owner that is gone leaves its tables, and stands in nobody's way.
    await migrate(database, [ownerOf("two", step, noting("202601030000_more"))]);
    expect(await notesOf(database)).toEqual([step.name, step.name, "202601030000_more"]);
  });

  it("goes on under a newer schema, unless a step of it breaks older builds", async () => {
    const database = await open();
    const old = ownerOf("test", createNotes);
    await migrate(database, [ownerOf("test", createNotes, noting("202701010000_expands"))]);
    await migrate(database, [old]);
    const breaking = noting("202702010000_contracts", { breaksOlderBuilds: true });
    await migrate(database, [ownerOf("test", createNotes, noting("202701010000_expands"), breaking)]);
    expect(await failureOf(migrate(database, [old]))).toContain(
      "changed by a newer Berth (test 202702010000_contracts); start that version or newer",
    );
    await migrate(database, [ownerOf("another")]);
    expect(await notesOf(database)).toEqual(["202701010000_expands", "202702010000_contracts"]);
  });

  it("refuses before it changes anything", async () => {
    const database = await open();
    const breaking = noting("202702010000_contracts", { breaksOlderBuilds: true });
    await migrate(database, [ownerOf("test", createNotes, breaking)]);
    const [other, old] = [ownerOf("other", noting("202601050000_b")), ownerOf("test", createNotes)];
    expect(await failureOf(migrate(database, [other, old]))).toContain("newer Berth");
    expect(await notesOf(database)).toEqual(["202702010000_contracts"]);
  });

  it("of several servers that start at once lets one do it", async () => {
    for (let round = 0; round < 3; round++) {
      const storage = await createStorage();
      const steps = [createNotes, noting("202601020000_b"), noting("202601030000_c")];
      await Promise.all(
        Array.from({ length: 4 }, async () => migrate(await openAgain(storage), [ownerOf("test", ...steps)])),
      );
      expect(await notesOf(await openAgain(storage))).toEqual(["202601020000_b", "202601030000_c"]);
    }
  });

  it("makes text that is compared byte by byte, and whole numbers up to 2^53", async () => {
    const database = await open();
    const step: Migration = {
      name: "202601010000_values",
      up: ({ schema }, { text, integer, bytes }) =>
        schema
          .createTable("samples")
          .addColumn("word", text)
          .addColumn("number", integer)
          .addColumn("raw", bytes)
          .execute(),
    };
    await migrate(database, [ownerOf("test", step)]);
    const words = ["b", "B", "a-b", "a_b", "ab", "é", "z"];
    await database.write(async (tx) => {
      for (const word of words) {
        const raw = Buffer.from([0, 255, 10]);
        await sql`insert into samples values (${word}, ${Number.MAX_SAFE_INTEGER}, ${raw})`.execute(tx);
      }
    });
    const { rows } = await sql<{ word: string; number: number; raw: Uint8Array }>`
      select word, number, raw from samples order by word`.execute(database.read);
    expect(rows.map(({ word }) => word)).toEqual(words.toSorted());
    expect(new Set(rows.map((row) => row.number))).toEqual(new Set([Number.MAX_SAFE_INTEGER]));
    expect([...(rows[0]?.raw ?? [])]).toEqual([0, 255, 10]);
  });
});
