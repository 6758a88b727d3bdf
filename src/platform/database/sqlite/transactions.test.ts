import { Database as BunSqlite } from "bun:sqlite";
import { afterAll, beforeAll, describe, expect, it } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CompiledQuery, sql } from "kysely";
import { errorCode } from "../../telemetry/error-code.ts";
import type { Database, Writer } from "../database.ts";
import { type Log, watchLog } from "./log-trust.ts";
import { openSqlite } from "./open-sqlite.ts";
import { statementsOf } from "./statements.ts";
import { transactionsOf } from "./transactions.ts";

let folder = "";
let database: Database;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "berth-transactions-"));
  database = await openSqlite(join(folder, "berth.sqlite"));
  await database.write((tx) => sql`create table notes (text text not null unique)`.execute(tx));
});
afterAll(async () => {
  await database.close();
  await rm(folder, { recursive: true, force: true });
});

const insertInto = (tx: Writer, text: string) => sql`insert into notes (text) values (${text})`.execute(tx);
const insert = (text: string): Promise<unknown> => database.write((tx) => insertInto(tx, text));
const count = async (pattern: string): Promise<number> => {
  const { rows } = await sql<{ n: number }>`select count(*) as n from notes where text like ${pattern}`.execute(
    database.read,
  );
  return rows[0]?.n ?? -1;
};
const countPrepared = async (pattern: string): Promise<number> => {
  const query = CompiledQuery.raw("select count(*) as n from notes where text like ?", [pattern]);
  return (await database.all<{ readonly n: number }>(query))[0]?.n ?? -1;
};
const failureOf = async (promise: Promise<unknown>): Promise<string> => {
  const [result] = await Promise.allSettled([promise]);
  return result.status === "rejected" && result.reason instanceof Error ? result.reason.message : "no failure";
};
const codesOf = async (writes: readonly Promise<unknown>[]): Promise<readonly string[]> =>
  (await Promise.allSettled(writes)).map((one) => (one.status === "rejected" ? errorCode(one.reason) : "written"));

const runBoth = async (round: number): Promise<readonly string[]> => {
  const seen: string[] = [];
  const one = (name: string) =>
    database.write(
      async (tx) => {
        if (name === "a") setImmediate(() => seen.push("next turn"));
        seen.push(`${name} begins`);
        await insertInto(tx, `turn-${String(round)}-${name}`);
        await sql`select 1`.execute(tx);
        seen.push(`${name} ends`);
      },
      { survives: "process" },
    );
  await Promise.all([one("a"), one("b")]);
  return seen;
};

describe("a transaction", () => {
  it("is kept, as is each of many at once", async () => {
    await Promise.all(Array.from({ length: 250 }, (_, index) => insert(`many-${index}`)));
    expect(await count("many-%")).toBe(250);
  });

  it("that fails is undone alone, in the midst of others", async () => {
    await insert("taken");
    const writes = [insert("before"), insert("taken"), insert("after")];
    expect(await codesOf(writes)).toEqual(["written", "SQLITE_CONSTRAINT_UNIQUE", "written"]);
    expect([await count("before"), await count("after")]).toEqual([1, 1]);
  });

  it("goes on behind a statement that failed, where it wants to", async () => {
    await database.write(async (tx) => {
      await Promise.allSettled([insertInto(tx, "taken")]);
      await insertInto(tx, "not taken");
    });
    expect(await count("not taken")).toBe(1);
  });

  it("undoes what it wrote before it threw", async () => {
    const halfway = database.write(async (tx) => {
      await insertInto(tx, "half");
      throw new Error("halfway");
    });
    expect(await failureOf(halfway)).toBe("halfway");
    expect(await count("half")).toBe(0);
  });

  it("is over before another begins, and those behind it run in the same turn", async () => {
    const inOrder = ["a begins", "a ends", "b begins", "b ends"];
    const rounds: (readonly string[])[] = [];
    // On a busy machine they may take so long that they run once more, each alone, and others are answered in between.
    while (rounds.length < 100 && rounds.at(-1)?.includes("next turn") !== false)
      rounds.push(await runBoth(rounds.length));
    for (const seen of rounds) expect(seen.filter((what) => what !== "next turn").slice(-4)).toEqual(inOrder);
    expect(rounds.at(-1)).toEqual(inOrder);
  });

  it("shows a reader nothing before the commit, and all of it at once behind it, whoever remembers what was before", async () => {
    const before = database.revision?.();
    const unseen: number[] = [];
    await database.write(
      async (tx) => {
        await insertInto(tx, "unseen");
        unseen.push(await count("unseen"), await countPrepared("unseen"));
      },
      { survives: "process" },
    );
    expect(unseen).toEqual([0, 0]);
    expect([await count("unseen"), await countPrepared("unseen")]).toEqual([1, 1]);
    expect(database.revision?.()).not.toBe(before);
  });

  it("is the only way to write: a prepared query that would is refused", async () => {
    const write = CompiledQuery.raw("insert into notes (text) values ('past') returning text");
    expect(await failureOf(database.all(write))).toContain("readonly");
    expect(await count("past")).toBe(0);
  });

  it("lets others be answered between it and those behind it, when they are many", async () => {
    const turnsOfMany = countTurns();
    await Promise.all(Array.from({ length: 20 }, (_, at) => insertSlowly(`long-${at}`)));
    expect(turnsOfMany()).toBeGreaterThanOrEqual(19);
    const turnsOfOne = countTurns();
    await insertSlowly(...Array.from({ length: 20 }, (_, at) => `longer-${at}`));
    expect(turnsOfOne()).toBeGreaterThanOrEqual(19);
    expect([await count("long-%"), await count("longer-%")]).toEqual([20, 20]);
  });
});

/** Of the event loop; told at the end. */
function countTurns(): () => number {
  let turns = 0;
  let isOver = false;
  const look = (): void => {
    turns += 1;
    if (!isOver) setImmediate(look);
  };
  setImmediate(look);
  return () => {
    isOver = true;
    return turns;
  };
}

const insertSlowly = (...texts: readonly string[]) =>
  database.write(
    async (tx) => {
      for (const text of texts) {
        for (const end = performance.now() + 2; performance.now() < end;);
        await insertInto(tx, text);
      }
    },
    { survives: "process" },
  );

const stray = (text: string, ...before: readonly string[]) =>
  database.write(async (tx) => {
    for (const one of before) {
      for (const end = performance.now() + 2; performance.now() < end;);
      await insertInto(tx, one);
    }
    await insertInto(tx, text);
    await Bun.sleep(20);
    await insertInto(tx, `${text} later`);
  });

describe("a transaction that awaits anything but its own queries", () => {
  it("is refused and undone, and what comes behind it is not", async () => {
    const [strayed, long] = [failureOf(stray("strayed")), failureOf(stray("strayed late", "strayed long", "so long"))];
    const other = insert("still writes");
    expect([await strayed, await long]).toEqual(
      Array.from({ length: 2 }, () => expect.stringContaining("awaited something")),
    );
    await other;
    await Bun.sleep(40);
    expect([await count("strayed%"), await count("so long"), await count("still writes")]).toEqual([0, 0, 1]);
  });

  it("cannot write any more, whatever runs by then", async () => {
    let tooLate = "";
    const { promise: gone, resolve: go } = Promise.withResolvers<void>();
    await Promise.allSettled([
      database.write(async (tx) => {
        void gone.then(async () => (tooLate = await failureOf(insertInto(tx, "too late"))));
        await Bun.sleep(20);
      }),
    ]);
    await database.write(async (tx) => {
      go();
      await insertInto(tx, "in time");
    });
    expect(tooLate).toContain("awaited something");
    expect([await count("too late"), await count("in time")]).toEqual([0, 1]);
  });

  it("and one that has ended well can no more", async () => {
    let kept: Writer | undefined;
    await database.write(async (tx) => {
      kept = tx;
      await insertInto(tx, "ended");
    });
    expect(await failureOf(insertInto(kept as Writer, "behind the end"))).toContain("after its transaction had ended");
    expect(await count("behind the end")).toBe(0);
  });
});

interface Bare {
  readonly log?: Log;
  readonly busyLimitMs?: number;
  readonly path?: string;
}

const trusted = watchLog({ sync: async () => undefined, empty: async () => undefined });

/** A writer of its own, with a table, and what SQLite is asked. */
function openBare({ log = trusted, busyLimitMs, path = join(folder, `${crypto.randomUUID()}.sqlite`) }: Bare = {}) {
  const connection = new BunSqlite(path);
  for (const pragma of ["journal_mode = wal", "synchronous = off", "busy_timeout = 0"])
    connection.run(`pragma ${pragma}`);
  connection.run("create table if not exists notes (text text not null unique, filler blob)");
  const statements = statementsOf(connection);
  const asked: string[] = [];
  const run: typeof statements.run = (statement) => {
    asked.push(statement.sql);
    return statements.run(statement);
  };
  const bounds = busyLimitMs === undefined ? {} : { busyLimitMs };
  let gaveWay = 0;
  const giveWay = () => {
    gaveWay += 1;
  };
  const writing = { database: connection, statements: { run }, log, onCommit: () => undefined, giveWay, ...bounds };
  const { write, writeOne } = transactionsOf(writing);
  return {
    path,
    asked,
    gaveWay: () => gaveWay,
    connection,
    write,
    insert: (text: string, survives: "power" | "process" = "power") =>
      write((tx) => insertInto(tx, text), { survives }),
    insertAlone: (text: string) =>
      writeOne(CompiledQuery.raw("insert into notes (text) values (?) returning text", [text])),
    all: () => connection.query("select text from notes order by text").values().flat(),
  };
}

/** A log whose syncs are counted, each of which takes until the test says so. */
function countedLog() {
  const syncs: PromiseWithResolvers<void>[] = [];
  const sync = () => {
    const one = Promise.withResolvers<void>();
    syncs.push(one);
    return one.promise;
  };
  return { log: watchLog({ sync, empty: async () => undefined }), syncs };
}

/** Ends one after the other, until all that is written has been told. */
async function answerSyncs(
  syncs: readonly PromiseWithResolvers<void>[],
  written: Promise<unknown>,
  eachMs = 1,
): Promise<void> {
  let synced = 0;
  const timer = setInterval(() => {
    if (synced < syncs.length) syncs[synced++]?.resolve();
  }, eachMs);
  await written;
  clearInterval(timer);
}

const seen = async (isSo: () => boolean): Promise<void> => {
  while (!isSo()) await Bun.sleep(1);
};

describe("what survives a loss of power", () => {
  it("costs writes that are made at once a few syncs for all", async () => {
    const { log, syncs } = countedLog();
    const bare = openBare({ log });
    const writes = Promise.all(Array.from({ length: 150 }, (_, at) => bare.insert(String(at))));
    await answerSyncs(syncs, writes, 20);
    // On a machine that stands still, fewer of them are made during one sync.
    expect(syncs.length).toBeLessThan(50);
  });

  it("waits for a sync that begins behind its commit, and what survives less for none", async () => {
    const { log, syncs } = countedLog();
    const bare = openBare({ log });
    const told: string[] = [];
    const tell = (text: string, survives: "power" | "process") =>
      bare.insert(text, survives).then(() => told.push(text));
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
  });

  it("is told to nobody once a sync has failed, before the log was emptied", async () => {
    const { log, syncs } = countedLog();
    const bare = openBare({ log });
    const first = bare.insert("first");
    await seen(() => syncs.length === 1);
    const second = bare.insert("second");
    await bare.insert("third", "process");
    syncs[0]?.reject(new Error("EIO"));
    expect([await failureOf(first), await failureOf(second)]).toEqual(["EIO", "EIO"]);
    const fourth = bare.insert("fourth");
    await seen(() => syncs.length === 2);
    syncs[1]?.resolve();
    await fourth;
  });

  it("is not begun while a disk does not answer, and all of it is told when it does", async () => {
    const { log, syncs } = countedLog();
    const bare = openBare({ log });
    const first = bare.insert("first");
    await seen(() => syncs.length === 1);
    // A sync of an ordinary disk is over by then.
    await Bun.sleep(500);
    const others = [bare.insert("second"), bare.insertAlone("third"), bare.insert("fourth", "process")];
    await Bun.sleep(50);
    expect(bare.all()).toEqual(["first"]);
    await answerSyncs(syncs, Promise.all([first, ...others]));
    expect(bare.all()).toEqual(["first", "fourth", "second", "third"]);
  });
});

describe("a write of one statement", () => {
  it("is a transaction by itself, and undone alone where it fails", async () => {
    const { insert: insertOne, insertAlone, all } = openBare();
    const writes = [insertAlone("a"), insertAlone("b"), insertAlone("a"), insertOne("c"), insertAlone("c")];
    const taken = "SQLITE_CONSTRAINT_UNIQUE";
    expect(await codesOf(writes)).toEqual(["written", "written", taken, "written", taken]);
    expect(all()).toEqual(["a", "b", "c"]);
  });

  it("costs one statement", async () => {
    const { insertAlone, insert: insertOne, asked } = openBare();
    expect(await insertAlone("a")).toEqual([{ text: "a" }]);
    expect(asked.splice(0)).toEqual(["insert into notes (text) values (?) returning text"]);
    await insertOne("b");
    expect(asked).toEqual(["BEGIN IMMEDIATE", "insert into notes (text) values (+?)", "COMMIT"]);
  });
});

/** What SQLite is asked. A machine that stands still in the midst of it has them come apart. */
async function untilTogether(write: () => Promise<readonly string[]>, statements: number): Promise<readonly string[]> {
  for (let tries = 1; ; tries += 1) {
    const asked = await write();
    if (asked.length === statements || tries === 100) return asked;
  }
}

async function failingOne(): Promise<readonly string[]> {
  const { insert: insertOne, insertAlone, asked, all } = openBare();
  const writes = [insertOne("a"), insertAlone("a"), insertOne("c")];
  expect(await codesOf(writes)).toEqual(["written", "SQLITE_CONSTRAINT_UNIQUE", "written"]);
  expect(all()).toEqual(["a", "c"]);
  return asked;
}

describe("writes that come in one turn", () => {
  const [one, two] = ["insert into notes (text) values (+?)", "insert into notes (text) values (?) returning text"];

  it("are one transaction to SQLite, and the next turn's are another", async () => {
    const { insert: insertOne, insertAlone, asked } = openBare();
    const together = async (): Promise<readonly string[]> => {
      const text = crypto.randomUUID();
      await Promise.all([insertOne(text), insertAlone(`${text} b`), insertOne(`${text} c`, "process")]);
      return asked.splice(0);
    };
    expect(await untilTogether(together, 5)).toEqual(["BEGIN IMMEDIATE", one, two, one, "COMMIT"]);
    await insertOne("d");
    expect(asked).toEqual(["BEGIN IMMEDIATE", one, "COMMIT"]);
  });

  it("are each alone where one fails: nobody can tell that they were together", async () => {
    const eachAlone = ["BEGIN IMMEDIATE", one, "COMMIT", two, "BEGIN IMMEDIATE", one, "COMMIT"];
    expect(await untilTogether(failingOne, 11)).toEqual(["BEGIN IMMEDIATE", one, two, "ROLLBACK", ...eachAlone]);
  });

  it("are each alone where one takes long, and others are answered while it does", async () => {
    const turns = countTurns();
    const long = Array.from({ length: 20 }, (_, at) => `among-${at}`);
    await Promise.all([insert("among others"), insertSlowly(...long), insert("among the last")]);
    expect(turns()).toBeGreaterThanOrEqual(19);
    expect(await count("among%")).toBe(22);
  });

  it("do not become more than other processes can wait for", async () => {
    const { insert: insertOne, asked } = openBare();
    await Promise.all(Array.from({ length: 20 }, (_, at) => insertOne(String(at))));
    expect(asked.filter((statement) => statement === "COMMIT").length).toBeGreaterThanOrEqual(3);
  });
});

describe("a database that another process keeps busy", () => {
  it("is waited for, and others are answered meanwhile", async () => {
    const [one, other] = [openBare(), openBare()];
    const second = openBare({ path: one.path });
    one.connection.run("BEGIN IMMEDIATE");
    let done = 0;
    const writes = [second.insert("second"), second.insertAlone("third")].map((write) => write.then(() => (done += 1)));
    await other.insert("elsewhere");
    await Bun.sleep(300);
    expect(done).toBe(0);
    one.connection.run("COMMIT");
    await Promise.all(writes);
    expect(one.all()).toEqual(["second", "third"]);
  });

  it("gets this processor each time that it was asked in vain, if it waits for it", async () => {
    const one = openBare();
    const second = openBare({ path: one.path });
    await second.insert("free");
    expect(second.gaveWay()).toBe(0);
    one.connection.run("BEGIN IMMEDIATE");
    second.asked.length = 0;
    const write = second.insert("busy");
    await Bun.sleep(30);
    one.connection.run("COMMIT");
    await write;
    const refused = second.asked.filter((statement) => statement === "BEGIN IMMEDIATE").length - 1;
    expect(refused).toBeGreaterThan(1);
    expect(second.gaveWay()).toBe(refused);
  });

  it("for too long is told at once to all that wait for it", async () => {
    const one = openBare();
    const second = openBare({ path: one.path, busyLimitMs: 50 });
    one.connection.run("BEGIN IMMEDIATE");
    const writes = [second.insert("a"), second.insertAlone("b"), second.insert("c")];
    expect(await codesOf(writes)).toEqual(["SQLITE_BUSY", "SQLITE_BUSY", "SQLITE_BUSY"]);
    expect(new Set(second.asked)).toEqual(new Set(["BEGIN IMMEDIATE"]));
    one.connection.run("COMMIT");
    await second.insert("d");
    expect(one.all()).toEqual(["d"]);
  });
});

describe("what undoes a whole transaction", () => {
  it("fails it though it takes no notice, and what it does behind that is not committed alone", async () => {
    const { write, insert: insertOne, connection, all } = openBare();
    connection.run(
      "create trigger full before insert on notes when new.text = 'x' begin select raise(rollback, 'gone'); end",
    );
    const heedless = write(async (tx) => {
      await insertInto(tx, "before");
      await Promise.allSettled([insertInto(tx, "x")]);
      await Promise.allSettled([insertInto(tx, "behind")]);
    });
    expect(await failureOf(heedless)).toBe("gone");
    await insertOne("after");
    expect(all()).toEqual(["after"]);
  });

  it("may be a full disk: the next one goes on", async () => {
    const { write, connection, all } = openBare();
    connection.run("pragma max_page_count = 20");
    const sized = (text: string, bytes: number) =>
      write((tx) => sql`insert into notes values (${text}, zeroblob(${bytes}))`.execute(tx));
    const writes = [sized("before", 10), sized("too large", 1_000_000), sized("after", 10)];
    expect(await codesOf(writes)).toEqual(["written", "SQLITE_FULL", "written"]);
    expect(all()).toEqual(["after", "before"]);
  });

  it("may be its commit, and nothing of it stays", async () => {
    const { write, connection, all, insert: insertOne } = openBare();
    connection.run("pragma foreign_keys = on");
    connection.run("create table owners (name text primary key)");
    connection.run("create table owned (name text references owners (name) deferrable initially deferred)");
    const dangling = write((tx) => sql`insert into owned values ('nobody')`.execute(tx));
    expect(await codesOf([dangling, insertOne("next")])).toEqual(["SQLITE_CONSTRAINT_FOREIGNKEY", "written"]);
    expect([all(), connection.query("select * from owned").values()]).toEqual([["next"], []]);
  });
});
