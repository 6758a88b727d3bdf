import { sql } from "kysely";
import type { Database } from "./database.ts";
import { errorCode } from "../telemetry/error-code.ts";

/**
 * Writes and commits a little that changes nothing anyone reads.
 * @returns why this database takes no writes; `undefined` when it does
 */
export async function databaseProblem(database: Database): Promise<string | undefined> {
  // SQLite's user_version is no one's here, and setting it is a write like any other; PostgreSQL gives out a number.
  const change = database.dialect === "sqlite" ? sql`pragma user_version = 0` : sql`select pg_current_xact_id()`;
  try {
    await database.write((tx) => change.execute(tx));
    return undefined;
  } catch (error) {
    return `the database takes no writes (${errorCode(error)})`;
  }
}
