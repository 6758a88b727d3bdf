import { expect, it } from "bun:test";
import { describeEachDatabase } from "../../../test/support/databases.ts";
import { quietLog } from "../../../test/support/quiet-log.ts";
import type { Database } from "../../platform/database/database.ts";
import { findEntries, shownEntry } from "./find-entries.ts";
import { auditMigrations } from "./migrations.ts";
import { noteQueue } from "./note-queue.ts";
import type { Note } from "./note-sources.ts";

function noted(requestId: string, parts: Partial<Note> = {}): Note {
  const actor = { kind: "account", id: "1", name: "ann" } as const;
  const by = { actor, address: "192.0.2.1", requestId };
  return { action: "denied", outcome: "refused", by, source: "ann", windowMs: 60_000, ...parts };
}

const found = async ({ read }: Database, requestId?: string) =>
  (await findEntries(read, { requestId }, { limit: 10_000 })).items.map(shownEntry);

describeEachDatabase("what is noted beside changes", (_dialect, open) => {
  async function start(parts: { readonly mostSources?: number; readonly mostOfClient?: number } = {}) {
    const database = await open([auditMigrations]);
    const { log, errors } = quietLog();
    const time = { now: 1_000_000 };
    const queueOf = (on: Database) => noteQueue({ database: on, log, now: () => time.now, ...parts });
    return { database, queue: queueOf(database), queueOf, time, errors };
  }

  it("is written at once the first time, and with a count at the end of its window", async () => {
    const { database, queue, time } = await start();
    queue.add(noted("first"));
    await queue.flush();
    expect(await found(database)).toMatchObject([{ requestId: "first", times: 1, outcome: "refused" }]);
    for (let number = 1; number <= 5; number++) {
      time.now += 1000;
      queue.add(noted(`again-${String(number)}`));
      await queue.flush();
    }
    expect(await found(database)).toHaveLength(1);
    // Whichever of them somebody asks about, it is found.
    expect(await found(database, "again-3")).toMatchObject([{ requestId: "first" }]);
    expect(await found(database, "again-9")).toEqual([]);
    time.now += 60_000;
    await queue.flush();
    const [last, first, ...none] = await found(database);
    expect([first?.times, last?.times, none]).toEqual([1, 5, []]);
    expect(last).toMatchObject({ actor: { name: "ann" }, address: "192.0.2.1" });
    expect(last?.detail).toEqual({
      since: new Date(1_000_000).toISOString(),
      until: new Date(1_005_000).toISOString(),
    });
    queue.add(noted("anew"));
    await queue.flush();
    expect(await found(database, "anew")).toMatchObject([{ id: 3, times: 1 }]);
  });

  it("is written at the end of the server, also what repeats were gathered", async () => {
    const { database, queue } = await start();
    for (let number = 0; number < 3; number++) queue.add(noted(`request-${String(number)}`));
    queue.add(noted("other", { source: "bob" }));
    await queue.flush(true);
    expect((await found(database)).map(({ times }) => times).toSorted((a, b) => a - b)).toEqual([1, 1, 2]);
    await queue.flush(true);
    expect(await found(database)).toHaveLength(3);
  });

  it("has a bound, and is counted beyond it; a flood from one source is two entries", async () => {
    const { database, queue, time } = await start({ mostSources: 10 });
    for (let number = 0; number < 25; number++) queue.add(noted("r", { source: `source-${String(number)}` }));
    expect(queue.dropped()).toBe(15);
    for (let number = 0; number < 100_000; number++)
      queue.add(noted(`flood-${String(number)}`, { source: "source-1" }));
    expect(queue.dropped()).toBe(15);
    await queue.flush();
    time.now += 60_000;
    await queue.flush();
    const entries = await found(database);
    expect(entries).toHaveLength(11);
    expect(Math.max(...entries.map(({ times }) => times))).toBe(100_000);
    const { count } = await database.read
      .selectFrom("audit_requests")
      .select(({ fn }) => fn.countAll<number>().as("count"))
      .executeTakeFirstOrThrow();
    expect(count).toBe(200);
  });

  it("of one client who does a thousand things is told together, and crowds nobody out", async () => {
    const { database, queue, time } = await start({ mostSources: 30, mostOfClient: 10 });
    const { actor } = noted("r").by;
    for (let number = 0; number < 1000; number++) {
      const by = { actor, address: `2001:db8::${number.toString(16)}`, requestId: "r" };
      queue.add(noted("r", { by, source: `name-${String(number)}`, repository: `acme/${String(number)}` }));
    }
    const other = { actor: { kind: "anonymous", id: "", name: "anonymous" }, address: "192.0.2.9" } as const;
    queue.add(noted("r", { action: "sign-in", by: other, source: "victim" }));
    await queue.flush();
    time.now += 60_000;
    await queue.flush();
    expect(queue.dropped()).toBe(0);
    const entries = await found(database);
    expect(entries.filter(({ action }) => action === "sign-in")).toHaveLength(1);
    expect(entries.filter(({ repository }) => repository !== undefined)).toHaveLength(10);
    expect(entries.reduce((sum, { times }) => sum + times, 0)).toBe(1001);
    // Its room is free again.
    queue.add(noted("r", { source: "anew", repository: "acme/anew" }));
    await queue.flush();
    expect((await found(database))[0]).toMatchObject({ repository: "acme/anew" });
  });

  it("of strangers from very many networks is told together in the end, and crowds out nobody who has signed in", async () => {
    const { database, queue, time } = await start({ mostSources: 30 });
    const actor = { kind: "anonymous", id: "", name: "anonymous" } as const;
    for (let number = 0; number < 1000; number++) {
      const by = { actor, address: `2001:db8:0:${number.toString(16)}::1`, requestId: `r-${String(number)}` };
      queue.add(noted("r", { action: "sign-in", by, source: `sign-in refused ${by.address}` }));
    }
    queue.add(noted("thief", { action: "sign-in", outcome: "done", source: "sign-in 1" }));
    await queue.flush();
    time.now += 60_000;
    await queue.flush();
    expect(queue.dropped()).toBe(0);
    expect(await found(database, "thief")).toMatchObject([{ outcome: "done", actor: { name: "ann" } }]);
    const entries = await found(database);
    expect(entries.reduce((sum, { times }) => sum + times, 0)).toBe(1001);
    const [together, ...others] = entries.filter(({ detail }) => detail["many"] === true);
    expect([others.length, together?.address]).toEqual([1, undefined]);
    expect(await found(database, "r-20")).toHaveLength(1);
  });

  it("waits while the database is away, and is not written twice", async () => {
    const { database, queueOf, time, errors } = await start();
    let isAway = true;
    const queue = queueOf({
      ...database,
      write: (work, options) => (isAway ? Promise.reject(new Error("away")) : database.write(work, options)),
    });
    queue.add(noted("first"));
    await queue.flush();
    queue.add(noted("second"));
    time.now += 60_000;
    await queue.flush();
    expect(errors).toEqual(["audit notes not written", "audit notes not written"]);
    isAway = false;
    await queue.flush();
    await Promise.all([queue.flush(), queue.flush(true)]);
    expect((await found(database)).map(({ times }) => times)).toEqual([1, 1]);
  });
});
