import { Database as BunSqlite } from "bun:sqlite";
import { type FileHandle, open } from "node:fs/promises";
import { Kysely } from "kysely";
import type { Database, Tables } from "../database.ts";
import { almostAlone, amongWriters, groupCommit } from "./group-commit.ts";
import { watchLog } from "./log-trust.ts";
import { type Statement, sqliteDialect } from "./sqlite-dialect.ts";
import { statementsOf } from "./statements.ts";
import { openWriterConnection } from "./writer-connection.ts";

/**
 * Opens or creates the database file: one writer in a thread, and a read-only connection on this one.
 * @param writers processes that write all the time, or this one alone
 */
export async function openSqlite(path: string, writers: "one" | "several" = "one"): Promise<Database> {
  const writer = await openWriterConnection(path);
  // SQLite's own waiting looks less and less often, and would miss the others' pauses.
  if (writers === "several") await writer.execute({ sql: "PRAGMA busy_timeout = 0", parameters: [] });
  const log = openLog(`${path}-wal`);
  const reader = new BunSqlite(path, { readonly: true });
  reader.run("PRAGMA busy_timeout = 200");
  const statements = statementsOf(reader);
  const { revision, expire } = revisionOf(reader);
  const { write, writeOne } = groupCommit({
    execute: writer.execute,
    log: watchLog(writer.execute, log.sync),
    turns: writers === "several" ? amongWriters : almostAlone,
  });
  return {
    dialect: "sqlite",
    read: new Kysely<Tables>({ dialect: sqliteDialect(async (statement) => statements.run(statement)) }),
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the row type is Kysely's promise to its caller
    all: async <R>(statement: Statement) => statements.run(statement).rows as readonly R[],
    revision,
    write: (...given) => write(...given).finally(expire),
    writeOne: <R>(...given: Parameters<typeof writeOne>) => writeOne<R>(...given).finally(expire),
    async close() {
      statements.finalize();
      reader.close();
      await writer.close();
      await log.close();
    },
  };
}

/** SQLite makes the file with the first commit, and no locks of its own are on it that closing it would give back. */
function openLog(path: string): { readonly sync: () => Promise<void>; readonly close: () => Promise<void> } {
  let file: FileHandle | undefined;
  return {
    async sync() {
      file ??= await open(path, "r");
      await file.datasync();
    },
    close: async () => file?.close(),
  };
}

/**
 * SQLite takes 3 µs to tell whether anyone has committed, locks of the file included; so it is asked once in a turn of
 * the event loop, in which many requests are answered. Who waits for a commit of this process is told in the same turn,
 * and may ask at once.
 */
function revisionOf(reader: BunSqlite): { readonly revision: () => number; readonly expire: () => void } {
  const version = reader.query<{ readonly data_version: number }, []>("PRAGMA data_version");
  let known: number | undefined;
  const expire = (): void => {
    known = undefined;
  };
  const ask = (): number => {
    const { data_version: current } = version.get() ?? { data_version: Number.NaN };
    setImmediate(expire);
    known = current;
    return current;
  };
  return { revision: () => known ?? ask(), expire };
}
