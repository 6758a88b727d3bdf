import { expect, it } from "bun:test";
import { sql } from "kysely";
import { describeEachDatabase } from "../../../test/support/databases.ts";
import { quietLog } from "../../../test/support/quiet-log.ts";
import type { Database } from "../../platform/database/database.ts";
import { limitMigrations } from "./migrations.ts";
import { type PullCounts, pullCounts, shareOf } from "./pull-counts.ts";
import { hasEndedWindows, sweepPulls } from "./stored-counts.ts";

const windowMs = 3_600_000;

/** As one process of several has it. */
function processOn(database: Database, options: Partial<Parameters<typeof pullCounts>[0]> = {}) {
  const { log, errors } = quietLog();
  return { errors, ...pullCounts({ database, log, windowMs, ...options }) };
}

const pull = async (
  counts: Pick<PullCounts, "take">,
  limit: number,
  source = "anonymous 192.0.2.7",
): Promise<boolean> => (await counts.take(source, { limit, counts: true })).isAllowed;

describeEachDatabase("pulls that are counted", (_dialect, open) => {
  it("are exactly the limit in one process, whether they come one by one or at once", async () => {
    const database = await open([limitMigrations]);
    for (const limit of [1, 7, 100]) {
      const counts = processOn(database);
      const allowed = await Promise.all(
        Array.from({ length: limit + 20 }, () => pull(counts, limit, `account ${String(limit)}`)),
      );
      expect(allowed.filter(Boolean)).toHaveLength(limit);
      expect(await pull(counts, limit, `account ${String(limit)}`)).toBe(false);
      expect(await pull(counts, limit, `account other ${String(limit)}`)).toBe(true);
    }
  });

  it("tell how many are left, and that of which there is none changes nothing", async () => {
    const counts = processOn(await open([limitMigrations]));
    const left = async (isPull: boolean) => (await counts.take("robot 1", { limit: 3, counts: isPull })).remaining;
    expect([await left(false), await left(true), await left(false), await left(true)]).toEqual([3, 2, 2, 1]);
    expect(await left(true)).toBe(0);
    const over = await counts.take("robot 1", { limit: 3, counts: true });
    expect(over).toMatchObject({ isAllowed: false, remaining: 0 });
    expect(over.restMs).toBeWithin(windowMs - 60_000, windowMs + 1);
  });

  it("are at most one process's share more for each of several", async () => {
    const database = await open([limitMigrations]);
    const limit = 60;
    for (const processes of [2, 4]) {
      await database.write((tx) => tx.deleteFrom("pull_counts").execute());
      const all = Array.from({ length: processes }, () => processOn(database));
      const outcomes = await Promise.all(
        all.flatMap((one) => Array.from({ length: 300 / processes }, () => pull(one, limit))),
      );
      const allowed = outcomes.filter(Boolean).length;
      expect(allowed).toBeGreaterThanOrEqual(limit);
      expect(allowed).toBeLessThan(limit + processes * shareOf(limit));
      for (const one of all) await one.flush();
      // What was given away is what was written down.
      const row = await database.read.selectFrom("pull_counts").select("pulls").executeTakeFirstOrThrow();
      expect(row.pulls).toBe(allowed);
    }
  });

  it("are known to the process that comes next, but for what one that was killed had not written", async () => {
    const database = await open([limitMigrations]);
    const killed = processOn(database);
    for (let number = 0; number < 50; number++) expect(await pull(killed, 100)).toBe(true);
    const next = processOn(database);
    const { remaining } = await next.take("anonymous 192.0.2.7", { limit: 100, counts: false });
    expect(remaining).toBeWithin(50, 50 + shareOf(100) + 1);
    await killed.flush();
    expect((await processOn(database).take("anonymous 192.0.2.7", { limit: 100, counts: false })).remaining).toBe(50);
  });

  it("begin anew when the window is over, also where the clock was set back", async () => {
    const database = await open([limitMigrations]);
    let time = 0;
    const counts = processOn(database, { now: () => time });
    expect([await pull(counts, 1), await pull(counts, 1)]).toEqual([true, false]);
    await counts.flush();
    for (const shiftMs of [-windowMs, windowMs]) {
      await database.write((tx) =>
        tx
          .updateTable("pull_counts")
          .set({ started_at: sql<number>`started_at + ${shiftMs}` })
          .execute(),
      );
      time += windowMs + 1000;
      expect([await pull(counts, 1), await pull(counts, 1)]).toEqual([true, false]);
      await counts.flush();
      expect(await database.read.selectFrom("pull_counts").select("pulls").execute()).toEqual([{ pulls: 1 }]);
    }
  });

  it("go on in each process for itself where the database cannot be written, and are written when it can", async () => {
    const database = await open([limitMigrations]);
    let time = 0;
    let fails = true;
    const broken: Database = {
      ...database,
      write: (work, options) => (fails ? Promise.reject(new Error("no room")) : database.write(work, options)),
    };
    const counts = processOn(broken, { now: () => time });
    const allowed: boolean[] = [];
    for (let number = 0; number < 6; number++) allowed.push(await pull(counts, 4));
    expect(allowed).toEqual([true, true, true, true, false, false]);
    expect(counts.errors).toEqual(["pull counts not written"]);
    fails = false;
    time += 10_000;
    await counts.flush();
    expect(await database.read.selectFrom("pull_counts").select("pulls").execute()).toEqual([{ pulls: 4 }]);
  });

  it("take a bounded room in memory, and lose nothing by it", async () => {
    const database = await open([limitMigrations]);
    const counts = processOn(database, { mostSources: 10 });
    for (let round = 0; round < 2; round++) {
      for (let number = 0; number < 50; number++)
        expect(await pull(counts, 2, `anonymous ${String(number)}`)).toBe(true);
    }
    expect(counts.size()).toBe(10);
    for (let number = 0; number < 50; number++)
      expect(await pull(counts, 2, `anonymous ${String(number)}`)).toBe(false);
  });

  it("are forgotten with their window, and no others", async () => {
    const database = await open([limitMigrations]);
    const counts = processOn(database);
    await Promise.all(Array.from({ length: 1200 }, (_, number) => pull(counts, 2, `anonymous ${String(number)}`)));
    await counts.flush();
    expect(await hasEndedWindows(database, windowMs)).toBe(false);
    expect(await sweepPulls(database, windowMs)).toBe(0);
    await database.write((tx) =>
      tx
        .updateTable("pull_counts")
        .set({ started_at: sql<number>`started_at - ${windowMs}` })
        .where("source", "!=", "anonymous 7")
        .execute(),
    );
    expect(await hasEndedWindows(database, windowMs)).toBe(true);
    expect(await sweepPulls(database, windowMs)).toBe(1199);
    expect(await database.read.selectFrom("pull_counts").select("source").execute()).toEqual([
      { source: "anonymous 7" },
    ]);
  });
});
