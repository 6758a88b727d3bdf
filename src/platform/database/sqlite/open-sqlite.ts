import { Database as BunSqlite } from "bun:sqlite";
import { Kysely } from "kysely";
import type { Database, Tables } from "../database.ts";
import { almostAlone, amongWriters, groupCommit } from "./group-commit.ts";
import { type Execute, type Statement, sqliteDialect } from "./sqlite-dialect.ts";
import { openWriterConnection } from "./writer-connection.ts";

/**
 * Opens or creates the database file: one writer in a thread, and a read-only connection on this one.
 * @param writers processes that write all the time, or this one alone
 */
export async function openSqlite(path: string, writers: "one" | "several" = "one"): Promise<Database> {
  const writer = await openWriterConnection(path);
  // SQLite's own waiting looks less and less often, and would miss the others' pauses.
  if (writers === "several") await writer.execute({ sql: "PRAGMA busy_timeout = 0", parameters: [] });
  const reader = new BunSqlite(path, { readonly: true });
  reader.run("PRAGMA busy_timeout = 200");
  const { revision, expire } = revisionOf(reader);
  const write = groupCommit(writer.execute, writers === "several" ? amongWriters : almostAlone);
  return {
    dialect: "sqlite",
    read: new Kysely<Tables>({ dialect: sqliteDialect(readFrom(reader)) }),
    all: allFrom(reader),
    revision,
    write: (...given) => write(...given).finally(expire),
    async close() {
      reader.close();
      await writer.close();
    },
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

/** Kysely's values are what bun:sqlite binds, and its row type is a promise to its caller. */
const allFrom =
  (reader: BunSqlite) =>
  async <R>({ sql, parameters }: Statement): Promise<readonly R[]> =>
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion
    reader.query<R, never[]>(sql).all(...(parameters as never[]));

const readFrom = (reader: BunSqlite): Execute => {
  const all = allFrom(reader);
  return async (statement) => ({ rows: await all(statement), changes: 0 });
};
