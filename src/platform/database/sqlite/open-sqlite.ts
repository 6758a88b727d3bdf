import { Database as BunSqlite } from "bun:sqlite";
import { Kysely } from "kysely";
import type { Database, Tables } from "../database.ts";
import { almostAlone, amongWriters, groupCommit } from "./group-commit.ts";
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
  const reader = new BunSqlite(path, { readonly: true });
  reader.run("PRAGMA busy_timeout = 200");
  const statements = statementsOf(reader);
  const { revision, expire } = revisionOf(reader);
  const write = groupCommit(writer.execute, writers === "several" ? amongWriters : almostAlone);
  return {
    dialect: "sqlite",
    read: new Kysely<Tables>({ dialect: sqliteDialect(async (statement) => statements.run(statement)) }),
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the row type is Kysely's promise to its caller
    all: async <R>(statement: Statement) => statements.run(statement).rows as readonly R[],
    revision,
    write: (...given) => write(...given).finally(expire),
    async close() {
      statements.finalize();
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
