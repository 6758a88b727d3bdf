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
  return {
    dialect: "sqlite",
    read: new Kysely<Tables>({ dialect: sqliteDialect(async (statement) => statements.run(statement)) }),
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the row type is Kysely's promise to its caller
    all: async <R>(statement: Statement) => statements.run(statement).rows as readonly R[],
    write: groupCommit(writer.execute, writers === "several" ? amongWriters : almostAlone),
    async close() {
      statements.finalize();
      reader.close();
      await writer.close();
    },
  };
}
