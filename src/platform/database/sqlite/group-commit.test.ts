import { afterAll, beforeAll, describe, expect, it } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CompiledQuery, sql } from "kysely";
import type { Database } from "../database.ts";
import { groupCommit } from "./group-commit.ts";
import { watchLog } from "./log-trust.ts";
import { openSqlite } from "./open-sqlite.ts";
import type { Execute } from "./sqlite-dialect.ts";
import { openWriterConnection } from "./writer-connection.ts";
import { SqliteError } from "./writer-protocol.ts";

let folder = "";
let database: Database;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "berth-group-"));
  database = await openSqlite(join(folder, "berth.sqlite"));
  await database.write((tx) => sql`create table notes (text text not null unique)`.execute(tx));
});
afterAll(async () => {
  await database.close();
  await rm(folder, { recursive: true, force: true });
});

const insert = (text: string): Promise<void> =>
  database.write(async (tx) => {
    await sql`insert into notes (text) values (${text})`.execute(tx);
  });
const count = async (pattern: string): Promise<number> => {
  const { rows } = await sql<{ n: number }>`select count(*) as n from notes where text like ${pattern}`.execute(
    database.read,
  );
  return rows[0]?.n ?? -1;
};
const failureOf = async (promise: Promise<unknown>): Promise<string> => {
  const [result] = await Promise.allSettled([promise]);
  return result.status === "rejected" && result.reason instanceof Error ? result.reason.message : "no failure";
};

describe("group commit", () => {
  it("keeps every concurrent write", async () => {
    await Promise.all(Array.from({ length: 250 }, (_, index) => insert(`many-${index}`)));
    expect(await count("many-%")).toBe(250);
  });

  it("undoes a failed transaction alone, in the midst of others", async () => {
    await insert("taken");
    const results = await Promise.allSettled([insert("before"), insert("taken"), insert("after")]);
    expect(results.map((result) => result.status)).toEqual(["fulfilled", "rejected", "fulfilled"]);
    expect(await count("before")).toBe(1);
    expect(await count("after")).toBe(1);
  });

  it("undoes what a transaction wrote before it threw", async () => {
    const failure = await failureOf(
      database.write(async (tx) => {
        await sql`insert into notes (text) values ('half')`.execute(tx);
        throw new Error("halfway");
      }),
    );
    expect(failure).toBe("halfway");
    expect(await count("half")).toBe(0);
  });

  it("refuses a transaction that awaits anything but its own queries", async () => {
    const failure = await failureOf(
      database.write(async (tx) => {
        await sql`insert into notes (text) values ('strayed')`.execute(tx);
        await Bun.sleep(20);
      }),
    );
    expect(failure).toContain("awaited something");
    expect(await count("strayed")).toBe(0);
    await insert("still writes");
    expect(await count("still writes")).toBe(1);
  });

  it("shows a reader nothing before the commit", async () => {
    let seen = -1;
    await database.write(async (tx) => {
      await sql`insert into notes (text) values ('unseen')`.execute(tx);
      void count("unseen").then((found) => (seen = found));
      await sql`select 1`.execute(tx);
    });
    expect(seen).toBe(0);
    expect(await count("unseen")).toBe(1);
  });
});

/** A log whose syncs are counted, each of which takes until the test says so, where it does. */
function countedLog(execute: Execute) {
  const syncs: PromiseWithResolvers<void>[] = [];
  const log = watchLog(execute, () => {
    const sync = Promise.withResolvers<void>();
    syncs.push(sync);
    return sync.promise;
  });
  return { log, syncs };
}

const noSync = (execute: Execute) => watchLog(execute, async () => undefined);

/** A writer of its own, with a table. */
async function openCounted() {
  const writer = await openWriterConnection(join(folder, `${crypto.randomUUID()}.sqlite`));
  await writer.execute({ sql: "create table notes (text text not null unique)", parameters: [] });
  const { log, syncs } = countedLog(writer.execute);
  const { write, writeOne } = groupCommit({ execute: writer.execute, log });
  const insertInto = (text: string, survives: "power" | "process") =>
    write((tx) => sql`insert into notes (text) values (${text})`.execute(tx), { survives });
  const insertAlone = (text: string) =>
    writeOne(CompiledQuery.raw("insert into notes values (?) returning text", [text]), { survives: "process" });
  const all = async () => (await writer.execute({ sql: "select text from notes order by text", parameters: [] })).rows;
  return { syncs, insertInto, insertAlone, all, writer };
}

const seen = async (isSo: () => boolean): Promise<void> => {
  while (!isSo()) await Bun.sleep(1);
};

describe("what survives a loss of power", () => {
  it("costs writes that are made at once a sync or two for all", async () => {
    const { syncs, insertInto, writer } = await openCounted();
    const writes = Promise.all(Array.from({ length: 150 }, (_, at) => insertInto(String(at), "power")));
    for (let synced = 0; synced < 2; synced++) {
      await Promise.race([seen(() => syncs.length > synced), writes]);
      syncs[synced]?.resolve();
    }
    await writes;
    await writer.close();
  });

  it("waits for a sync that begins behind its commit, and what survives less for none", async () => {
    const { syncs, insertInto, writer } = await openCounted();
    const told: string[] = [];
    const tell = (text: string, survives: "power" | "process") =>
      insertInto(text, survives).then(() => told.push(text));
    const first = tell("first", "power");
    await seen(() => syncs.length === 1);
    await tell("process", "process");
    const second = tell("second", "power");
    await tell("again", "process");
    expect([told, syncs.length]).toEqual([["process", "again"], 1]);
    syncs[0]?.resolve();
    await first;
    await seen(() => syncs.length === 2);
    expect(told).toEqual(["process", "again", "first"]);
    syncs[1]?.resolve();
    await second;
    await writer.close();
  });

  it("is told to nobody once a sync has failed, before the log was emptied", async () => {
    const { syncs, insertInto, writer } = await openCounted();
    const first = insertInto("first", "power");
    await seen(() => syncs.length === 1);
    const second = insertInto("second", "power");
    await insertInto("third", "process");
    syncs[0]?.reject(new Error("EIO"));
    expect([await failureOf(first), await failureOf(second)]).toEqual(["EIO", "EIO"]);
    const fourth = insertInto("fourth", "power");
    await seen(() => syncs.length === 2);
    syncs[1]?.resolve();
    await fourth;
    await writer.close();
  });
});

describe("a write of one statement", () => {
  it("shares a message with others, and where one fails it alone is undone", async () => {
    const { insertAlone, insertInto, all, writer } = await openCounted();
    const outcomes = await Promise.allSettled([
      insertAlone("a"),
      insertAlone("b"),
      insertAlone("a"),
      insertAlone("c"),
      insertInto("d", "process"),
      insertAlone("d"),
      insertAlone("e"),
      insertAlone("e"),
    ]);
    expect(outcomes.map((one) => (one.status === "fulfilled" ? "written" : errorCode(one.reason)))).toEqual([
      "written",
      "written",
      "SQLITE_CONSTRAINT_UNIQUE",
      "written",
      "written",
      "SQLITE_CONSTRAINT_UNIQUE",
      "written",
      "SQLITE_CONSTRAINT_UNIQUE",
    ]);
    expect(await all()).toEqual(["a", "b", "c", "d", "e"].map((text) => ({ text })));
    await writer.close();
  });

  it("goes to the thread with its commit", async () => {
    const { write, asked, writer } = await openAsked();
    await write((tx) => sql`create table notes (text text)`.execute(tx));
    asked.length = 0;
    await writer.writeOne(CompiledQuery.raw("insert into notes values ('a')"));
    expect(asked).toEqual(["BEGIN IMMEDIATE; insert into notes values ('a')", "COMMIT"]);
    await writer.close();
  });

  it("fails with the commit, and with what takes the transaction along", async () => {
    const { insertAlone, all, writer } = await openCounted();
    await writer.execute({
      sql: "create trigger full before insert on notes when new.text = 'x' begin select raise(rollback, 'gone'); end",
      parameters: [],
    });
    const outcomes = await Promise.allSettled([insertAlone("a"), insertAlone("x"), insertAlone("b")]);
    // The first has a group of its own.
    expect(outcomes.map(({ status }) => status)).toEqual(["rejected", "rejected", "rejected"]);
    expect(await all()).toEqual([]);
    await insertAlone("c");
    expect(await all()).toEqual([{ text: "c" }]);
    await writer.close();
  });
});

/** What the thread is asked, in order. */
async function openAsked() {
  const connection = await openWriterConnection(join(folder, `${crypto.randomUUID()}.sqlite`));
  const asked: string[] = [];
  const execute: Execute = (statement) => {
    asked.push([...(statement.first ?? []), statement.sql].join("; "));
    return connection.execute(statement);
  };
  const { write, writeOne } = groupCommit({ execute, log: noSync(execute) });
  return { write, asked, writer: { ...connection, writeOne } };
}

describe("a database that another process keeps busy", () => {
  it("is waited for", async () => {
    const path = join(folder, `${crypto.randomUUID()}.sqlite`);
    const [one, other] = [await openWriterConnection(path), await openWriterConnection(path)];
    const run = (writer: typeof one, text: string) => writer.execute({ sql: text, parameters: [] });
    await run(one, "create table notes (text text)");
    await run(one, "BEGIN IMMEDIATE");
    await run(one, "insert into notes values ('first')");
    let isDone = false;
    const { write } = groupCommit({ execute: other.execute, log: noSync(other.execute) });
    const waiting = write((tx) => sql`insert into notes values ('second')`.execute(tx)).then(() => (isDone = true));
    await Bun.sleep(300);
    expect(isDone).toBe(false);
    await run(one, "COMMIT");
    await waiting;
    expect((await run(one, "select text from notes")).rows).toEqual([{ text: "first" }, { text: "second" }]);
    await one.close();
    await other.close();
  });

  it("for too long is told at once to all that wait for it", async () => {
    const busy = new SqliteError("database is locked", { code: "SQLITE_BUSY", isOfFirst: true, isOver: true });
    const asked: string[] = [];
    const execute: Execute = async (statement) => {
      asked.push([...(statement.first ?? []), statement.sql].join("; "));
      if (statement.first?.includes("BEGIN IMMEDIATE") === true) throw busy;
      return { rows: [], changes: 0 };
    };
    const { write, writeOne } = groupCommit({ execute, log: noSync(execute) });
    const note = (): Promise<unknown> => write((tx) => sql`insert into notes values ('a')`.execute(tx));
    const noteAlone = () => writeOne(CompiledQuery.raw("insert into notes values ('a')"));
    const outcomes = await Promise.allSettled([note(), noteAlone(), note(), noteAlone()]);
    expect(outcomes.map((outcome) => outcome.status === "rejected" && outcome.reason)).toEqual([
      busy,
      busy,
      busy,
      busy,
    ]);
    expect(asked).toEqual(["BEGIN IMMEDIATE; SAVEPOINT job; insert into notes values ('a')", "ROLLBACK"]);
  });
});

describe("a savepoint", () => {
  it("goes to the thread with the statement behind it: a write of one statement costs two ways there and back", async () => {
    const { write, asked, writer } = await openAsked();
    await write((tx) => sql`create table notes (text text)`.execute(tx));
    expect(asked).toEqual(["BEGIN IMMEDIATE; SAVEPOINT job; create table notes (text text)", "RELEASE job; COMMIT"]);
    await writer.close();
  });

  it("that cannot be released fails the whole group, also where the next to write takes no notice", async () => {
    const writer = await openWriterConnection(join(folder, `${crypto.randomUUID()}.sqlite`));
    const run = (text: string, ...first: readonly string[]) => writer.execute({ sql: text, parameters: [], first });
    await run("create table notes (text text)");
    let broken = 0;
    const execute: Execute = (statement) => {
      const isBroken = broken === 0 && statement.first?.[0] === "RELEASE job" && statement.sql !== "COMMIT";
      if (isBroken) broken++;
      return writer.execute(isBroken ? { ...statement, first: ["RELEASE nothing"] } : statement);
    };
    const { write } = groupCommit({ execute, log: noSync(execute) });
    const insertNote = (text: string) =>
      write(async (tx) => {
        await Promise.allSettled([sql`insert into notes values (${text})`.execute(tx)]);
      });
    const outcomes = await Promise.allSettled(["before", "heedless", "after"].map(insertNote));
    expect({ broken, outcomes: outcomes.map(({ status }) => status) }).toEqual({
      broken: 1,
      outcomes: ["rejected", "rejected", "fulfilled"],
    });
    expect((await run("select text from notes")).rows).toEqual([{ text: "after" }]);
    await writer.close();
  });

  it("does not begin where what must run before it fails", async () => {
    const writer = await openWriterConnection(join(folder, `${crypto.randomUUID()}.sqlite`));
    await writer.execute({ sql: "create table notes (text text)", parameters: [] });
    const late = { sql: "insert into notes values ('never')", parameters: [], first: ["SAVEPOINT a", "RELEASE b"] };
    const [outcome] = await Promise.allSettled([writer.execute(late)]);
    expect(outcome.status === "rejected" && (outcome.reason as SqliteError).isOfFirst).toBe(true);
    expect((await writer.execute({ sql: "select text from notes", parameters: [] })).rows).toEqual([]);
    await writer.close();
  });
});

describe("a full disk", () => {
  it("fails the whole group with its own error, commits nothing of it, and the next group goes on", async () => {
    const writer = await openWriterConnection(join(folder, "full.sqlite"));
    const run = (text: string) => writer.execute({ sql: text, parameters: [] });
    await run("create table notes (text text not null, filler blob)");
    await run("pragma max_page_count = 20");
    const { write } = groupCommit({ execute: writer.execute, log: noSync(writer.execute) });
    const insertSized = (text: string, bytes: number) =>
      write(async (tx) => {
        await sql`insert into notes values (${text}, zeroblob(${bytes}))`.execute(tx);
      });
    const outcomes = await Promise.allSettled([
      insertSized("before", 10),
      insertSized("too large", 1_000_000),
      insertSized("after", 10),
    ]);
    const codes = outcomes.map((outcome) => (outcome.status === "rejected" ? errorCode(outcome.reason) : "committed"));
    expect(codes).toEqual(["SQLITE_FULL", "SQLITE_FULL", "committed"]);
    expect((await run("select text from notes")).rows).toEqual([{ text: "after" }]);
    await writer.close();
  });
});

const errorCode = (error: unknown): unknown => (error instanceof SqliteError ? error.code : error);
