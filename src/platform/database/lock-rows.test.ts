import { expect, it } from "bun:test";
import { sql } from "kysely";
import { describeEachDatabase } from "../../../test/support/databases.ts";
import type { Database, Writer } from "./database.ts";
import { lockRows } from "./lock-rows.ts";
import type { Migrations } from "./migrations.ts";

const counters: Migrations = {
  owner: "test",
  steps: [
    {
      name: "202601010000_counters",
      up: async (tx, { text, integer }) => {
        await tx.schema
          .createTable("counters")
          .addColumn("name", text, (column) => column.primaryKey())
          .addColumn("value", integer, (column) => column.notNull())
          .execute();
        for (const name of ["a", "b", "c", "d"]) await sql`insert into counters values (${name}, 0)`.execute(tx);
      },
    },
  ],
};

const valuesOf = async (reader: Writer | Database["read"]): Promise<Readonly<Record<string, number>>> => {
  const { rows } = await sql<{ name: string; value: number }>`select name, value from counters`.execute(reader);
  return Object.fromEntries(rows.map(({ name, value }) => [name, value]));
};

describeEachDatabase("locking rows", (dialect, open) => {
  const keep = (tx: Writer) =>
    lockRows(tx, dialect, { table: "counters", column: "name", values: ["a"], against: "removal" });

  /** Reads, then writes what it read and one more: wrong wherever another comes in between. */
  const increment = (database: Database, names: readonly string[]) =>
    database.write(async (tx) => {
      await lockRows(tx, dialect, { table: "counters", column: "name", values: names, against: "everyone" });
      const values = await valuesOf(tx);
      for (const name of names) {
        await sql`update counters set value = ${(values[name] ?? 0) + 1} where name = ${name}`.execute(tx);
      }
    });

  it("lets what is read after it be written back, by any number of writers", async () => {
    const database = await open([counters]);
    await Promise.all(Array.from({ length: 30 }, () => increment(database, ["a"])));
    expect(await valuesOf(database.read)).toMatchObject({ a: 30, b: 0 });
  });

  it("takes them in one order, whatever order they are given in: nobody waits for each other", async () => {
    const database = await open([counters]);
    const tries = { count: 0 };
    const counted: Database = {
      ...database,
      write: (work) =>
        database.write((tx) => {
          tries.count += 1;
          return work(tx);
        }),
    };
    const orders = [
      ["a", "b", "c", "d"],
      ["d", "c", "b", "a"],
      ["b", "d", "a", "c"],
    ] as const;
    await Promise.all(Array.from({ length: 24 }, (_, number) => increment(counted, orders[number % 3] ?? [])));
    expect(await valuesOf(database.read)).toEqual({ a: 24, b: 24, c: 24, d: 24 });
    // A deadlock would have been tried again.
    expect(tries.count).toBe(24);
  });

  it("locks no rows where there are none", async () => {
    const database = await open([counters]);
    await increment(database, []);
    await database.write((tx) =>
      lockRows(tx, dialect, { table: "counters", column: "name", values: ["absent"], against: "removal" }),
    );
    expect(await valuesOf(database.read)).toEqual({ a: 0, b: 0, c: 0, d: 0 });
  });

  it("against removal keeps them from who removes them, and from nobody who keeps them too", async () => {
    const database = await open([counters]);
    const order: string[] = [];
    const kept = Promise.withResolvers<void>();
    const both = Promise.withResolvers<void>();
    const first = database.write(async (tx) => {
      await keep(tx);
      kept.resolve();
      // SQLite has one writer, who may wait for nothing.
      if (dialect === "postgres") await both.promise;
      order.push("kept");
    });
    await kept.promise;
    const second = database.write(keep).then(() => both.resolve());
    const removal = database.write(async (tx) => {
      await lockRows(tx, dialect, { table: "counters", column: "name", values: ["a"], against: "everyone" });
      order.push("removed");
    });
    await Promise.all([first, second, removal]);
    expect(order).toEqual(["kept", "removed"]);
  });
});
