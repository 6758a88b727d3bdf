import { server } from "./access-event.ts";
import { expect, it } from "bun:test";
import { sql } from "kysely";
import { describeEachDatabase } from "../../../test/support/databases.ts";
import { repositoryName } from "../../../test/support/registry.ts";
import type { Database } from "../database/database.ts";
import type { Migrations } from "../database/migrations.ts";
import {
  advanceConsumer,
  boundEvents,
  type Change,
  consumerBacklog,
  consumerPosition,
  placeConsumer,
  readChanges,
} from "./consume-events.ts";
import { eventMigrations } from "./migrations.ts";
import { lastPosition, sequenceEvents } from "./positions.ts";
import { recordEvents, writeEvents } from "./record-events.ts";
import type { RegistryEvent } from "./registry-event.ts";

const counters: Migrations = {
  owner: "test",
  needs: [eventMigrations],
  steps: [
    {
      name: "202601010000_counters",
      up: async (tx, { integer }) => {
        await tx.schema
          .createTable("counters")
          .addColumn("id", integer, (column) => column.primaryKey())
          .addColumn("value", integer, (column) => column.notNull())
          .execute();
        for (const id of [0, 1, 2]) await sql`insert into counters values (${id}, 0)`.execute(tx);
      },
    },
  ],
};

const event = (name: string, at = 0): RegistryEvent => ({
  kind: "repository-created",
  repository: repositoryName(name),
  at,
});

const record = (database: Database, ...events: readonly RegistryEvent[]): Promise<void> =>
  writeEvents(database, async (tx) => recordEvents(tx, ...events), server);

/** Everything behind a position, as a consumer gets it. */
async function readAll(database: Database, after = 0): Promise<readonly Change[]> {
  await sequenceEvents(database);
  return readChanges(database, { after, limit: 10_000 });
}

const namesOf = (changes: readonly Change[]): readonly string[] =>
  changes.flatMap(({ events }) => events.map((one) => ("repository" in one ? one.repository : one.kind)));

const advance = (database: Database, move: Parameters<typeof advanceConsumer>[2]): Promise<boolean> =>
  database.write((tx) => advanceConsumer(tx, database, move));

describeEachDatabase("events", (dialect, open) => {
  it("of a change are there with it, and gone with it", async () => {
    const database = await open([eventMigrations]);
    await record(database, event("one"), event("two"));
    await Promise.allSettled([
      writeEvents(
        database,
        async (tx) => {
          recordEvents(tx, event("undone"));
          throw new Error("on second thoughts");
        },
        server,
      ),
    ]);
    await record(database);
    const changes = await readAll(database);
    expect(changes.map(({ position }) => position)).toEqual([1]);
    expect(namesOf(changes)).toEqual(["one", "two"]);
    expect(changes[0]?.at).toBeWithin(Date.now() - 60_000, Date.now() + 60_000);
  });

  it("reach every consumer once and in one order, whoever writes and reads at once", async () => {
    const database = await open([counters]);
    /** Each counter's values are made one after the other, and so must they be seen. */
    const count = (id: number, slow: boolean) =>
      writeEvents(
        database,
        async (tx) => {
          const { rows } = await sql<{ value: number }>`
          update counters set value = value + 1 where id = ${id} returning value`.execute(tx);
          recordEvents(tx, event(`counter-${String(id)}`, rows[0]?.value));
          if (slow && dialect === "postgres") await Bun.sleep(Math.random() * 5);
        },
        server,
      );
    const writers = Array.from({ length: 6 }, async (_, writer) => {
      for (let number = 0; number < 6; number++) await count((writer + number) % 3, number % 2 === 0);
    });
    let isOver = false;
    const consume = async (): Promise<readonly Change[]> => {
      const seen: Change[] = [];
      for (let after = 0; ;) {
        const wasOver = isOver;
        await sequenceEvents(database);
        const some = await readChanges(database, { after, limit: 7 });
        seen.push(...some);
        after = some.at(-1)?.position ?? after;
        if (some.length === 0 && wasOver) return seen;
        if (some.length === 0) await Bun.sleep(1);
      }
    };
    const consumers = [consume(), consume()];
    await Promise.all(writers);
    isOver = true;
    const [one = [], other = []] = await Promise.all(consumers);
    expect(one.map(({ position }) => position)).toEqual(Array.from({ length: 36 }, (_, index) => index + 1));
    expect(other).toEqual(one);
    for (const id of ["counter-0", "counter-1", "counter-2"]) {
      const values = one.flatMap(({ events: [first] }) =>
        first?.kind === "repository-created" && first.repository === id ? [first.at] : [],
      );
      expect(values).toEqual(Array.from({ length: 12 }, (_, index) => index + 1));
    }
  });

  it("that commit behind a later one are not missed, as they would be by the order of ids", async () => {
    const database = await open([eventMigrations]);
    // SQLite has one writer: nobody can come in between.
    if (dialect === "sqlite") return;
    const begun = Promise.withResolvers<void>();
    const go = Promise.withResolvers<void>();
    const slow = database.write(async (tx) => {
      await sql`insert into event_outbox (recorded_at, events) values (1, ${JSON.stringify([event("slow")])})`.execute(
        tx,
      );
      begun.resolve();
      await go.promise;
    });
    await begun.promise;
    await record(database, event("quick"));
    const first = await readAll(database);
    go.resolve();
    await slow;
    const second = await readAll(database, first.at(-1)?.position);
    expect([namesOf(first), namesOf(second)]).toEqual([["quick"], ["slow"]]);
    const { rows: ids } = await sql<{ id: number; position: number }>`
      select id, position from event_outbox order by position`.execute(database.read);
    expect(ids.map(({ id }) => id)).toEqual([2, 1]);
  });

  it("go once every consumer has read them; of two that read for one name, one moves it on", async () => {
    const database = await open([eventMigrations]);
    for (const name of ["audit", "journal"]) await database.write((tx) => placeConsumer(tx, database, name));
    for (const name of ["one", "two", "three"]) await record(database, event(name));
    await sequenceEvents(database);
    expect(
      await Promise.all([
        advance(database, { name: "journal", from: 0, to: 2 }),
        advance(database, { name: "journal", from: 0, to: 3 }),
      ]),
    ).toContain(false);
    const reached = (await consumerPosition(database.read, "journal")) ?? 0;
    expect(namesOf(await readAll(database))).toEqual(["one", "two", "three"]);
    expect((await consumerBacklog(database, "audit")).changes).toBe(3);
    expect((await consumerBacklog(database, "journal")).changes).toBe(3 - reached);
    await advance(database, { name: "audit", from: 0, to: 1 });
    expect(namesOf(await readAll(database))).toEqual(["two", "three"]);
    await advance(database, { name: "journal", from: reached, to: 3 });
    await advance(database, { name: "audit", from: 1, to: 3 });
    expect(await readAll(database)).toEqual([]);
    // Positions go on where they were, also when nothing is left.
    expect(await lastPosition(database.read, dialect)).toBe(3);
    await record(database, event("four"));
    expect((await readAll(database)).map(({ position }) => position)).toEqual([4]);
    // A consumer that comes late begins behind what was before it.
    expect(await database.write((tx) => placeConsumer(tx, database, "late"))).toBe(4);
  });

  it("are bounded where nobody reads them: who comes later sees the gap", async () => {
    const database = await open([eventMigrations]);
    await database.write((tx) => placeConsumer(tx, database, "journal"));
    for (let number = 1; number <= 25; number++) await record(database, event(`n-${String(number)}`));
    await sequenceEvents(database);
    await boundEvents(database, 100);
    expect(await readAll(database)).toHaveLength(25);
    await boundEvents(database, 10);
    expect((await readAll(database)).map(({ position }) => position)).toEqual(
      Array.from({ length: 10 }, (_, index) => index + 16),
    );
    const { changes, oldestMs } = await consumerBacklog(database, "journal");
    expect(changes).toBe(10);
    expect(oldestMs).toBeGreaterThanOrEqual(0);
  });

  it("of one change that are very many are several rows", async () => {
    const database = await open([eventMigrations]);
    await record(database, ...Array.from({ length: 1201 }, (_, number) => event(`n-${String(number)}`)));
    const changes = await readAll(database);
    expect(changes.map(({ events }) => events.length)).toEqual([500, 500, 201]);
    expect(namesOf(changes)).toHaveLength(1201);
  });
});
