import { afterAll, beforeAll, describe, expect, it } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { sql } from "kysely";
import type { Database } from "../database.ts";
import { groupCommit } from "./group-commit.ts";
import { openSqlite } from "./open-sqlite.ts";
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

/** A writer of its own, and how each of its transactions began. */
async function openCounted() {
  const writer = await openWriterConnection(join(folder, `${crypto.randomUUID()}.sqlite`));
  const begun: string[] = [];
  const write = groupCommit(async (statement) => {
    const result = await writer.execute(statement);
    if (!statement.sql.endsWith("BEGIN IMMEDIATE")) return result;
    const { rows } = await writer.execute({ sql: "select synchronous from pragma_synchronous", parameters: [] });
    begun.push(JSON.stringify(rows) === '[{"synchronous":2}]' ? "synced" : "not synced");
    return result;
  });
  await write((tx) => sql`create table notes (text text not null unique)`.execute(tx));
  begun.length = 0;
  const insertInto = (text: string, survives: "power" | "process") =>
    write((tx) => sql`insert into notes (text) values (${text})`.execute(tx), { survives });
  return { begun, insertInto, writer };
}

describe("what survives a loss of power", () => {
  it("costs writes that are made at once a few syncs for all", async () => {
    const { begun, insertInto, writer } = await openCounted();
    await Promise.all(Array.from({ length: 150 }, (_, at) => insertInto(String(at), "power")));
    expect(begun.length).toBeLessThan(5);
    expect(new Set(begun)).toEqual(new Set(["synced"]));
    await writer.close();
  });

  it("is asked for by one in a group for all of it, and by none costs nothing", async () => {
    const { begun, insertInto, writer } = await openCounted();
    await Promise.all([insertInto("a", "process"), insertInto("b", "process")]);
    await Promise.all([insertInto("c", "process"), insertInto("d", "power"), insertInto("e", "process")]);
    await insertInto("f", "process");
    await insertInto("g", "power");
    // The first of several begins its group alone: the others are not there yet.
    expect(begun.filter((one, at) => one !== begun[at - 1])).toEqual(["not synced", "synced", "not synced", "synced"]);
    await writer.close();
  });

  it("is never given to a write that comes while a group without a sync runs", async () => {
    const { begun, insertInto, writer } = await openCounted();
    let isSynced: boolean | undefined;
    const late = Promise.withResolvers<void>();
    const first = insertInto("first", "process").then(() => undefined);
    setTimeout(() => {
      void insertInto("late", "power").then(() => {
        isSynced = begun.at(-1) === "synced";
        late.resolve();
      });
    });
    await first;
    await late.promise;
    expect(isSynced).toBe(true);
    await writer.close();
  });
});

describe("a savepoint", () => {
  it("goes to the thread with the statement behind it: a write of one statement costs three ways there and back", async () => {
    const writer = await openWriterConnection(join(folder, `${crypto.randomUUID()}.sqlite`));
    const asked: string[] = [];
    const write = groupCommit((statement) => {
      asked.push([...(statement.first ?? []), statement.sql].join("; "));
      return writer.execute(statement);
    });
    await write((tx) => sql`create table notes (text text)`.execute(tx));
    expect(asked).toEqual([
      "PRAGMA synchronous = FULL; BEGIN IMMEDIATE",
      "SAVEPOINT job; create table notes (text text)",
      "RELEASE job; COMMIT",
    ]);
    await writer.close();
  });

  it("that cannot be released fails the whole group, also where the next to write takes no notice", async () => {
    const writer = await openWriterConnection(join(folder, `${crypto.randomUUID()}.sqlite`));
    const run = (text: string, ...first: readonly string[]) => writer.execute({ sql: text, parameters: [], first });
    await run("create table notes (text text)");
    let broken = 0;
    const write = groupCommit((statement) => {
      const isBroken = broken === 0 && statement.first?.[0] === "RELEASE job" && statement.sql !== "COMMIT";
      if (isBroken) broken++;
      return writer.execute(isBroken ? { ...statement, first: ["RELEASE nothing"] } : statement);
    });
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
    const write = groupCommit(writer.execute);
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
