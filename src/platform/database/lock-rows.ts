import { sql } from "kysely";
import type { Dialect, Writer } from "./database.ts";

interface Rows {
  readonly table: string;
  readonly column: string;
  readonly values: readonly string[];
  /** Those who only want rows to stay do not wait for each other, but for those who remove them, and these for them. */
  readonly against: "everyone" | "removal";
}

/**
 * Locks rows by one text column until the transaction ends, always in the same order so that no two transactions wait
 * for each other. Nothing to do on SQLite, whose one writer already excludes all others.
 * @returns the values whose rows cannot change under this transaction. On PostgreSQL those that were there: a row that
 *   comes later is not locked, though a later statement sees it.
 */
export async function lockRows(
  tx: Writer,
  dialect: Dialect,
  { table, column, values, against }: Rows,
): Promise<readonly string[]> {
  if (dialect === "sqlite" || values.length === 0) return values;
  const name = sql.ref(column);
  const lock = against === "everyone" ? sql`for update` : sql`for key share`;
  const { rows } = await sql<{ readonly value: string }>`
    select ${name} as value from ${sql.table(table)} where ${name} = any(${values}) order by ${name} ${lock}`.execute(
    tx,
  );
  return rows.map(({ value }) => value);
}
