import { Database as BunSqlite } from "bun:sqlite";
import { Kysely } from "kysely";
import type { Database, Tables } from "../database.ts";
import { groupCommit } from "./group-commit.ts";
import { type Execute, sqliteDialect } from "./sqlite-dialect.ts";
import { openWriterConnection } from "./writer-connection.ts";

/** Opens or creates the database file: one writer in a thread, and a read-only connection on this one. */
export async function openSqlite(path: string): Promise<Database> {
  const writer = await openWriterConnection(path);
  const reader = new BunSqlite(path, { readonly: true });
  reader.run("PRAGMA busy_timeout = 200");
  return {
    dialect: "sqlite",
    read: new Kysely<Tables>({ dialect: sqliteDialect(readFrom(reader)) }),
    write: groupCommit(writer.execute),
    async close() {
      reader.close();
      await writer.close();
    },
  };
}

const readFrom =
  (reader: BunSqlite): Execute =>
  async ({ sql, parameters }) => ({
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- Kysely's values are what bun:sqlite binds
    rows: reader.query(sql).all(...(parameters as never[])),
    changes: 0,
  });
