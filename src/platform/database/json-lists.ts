import { type RawBuilder, sql, type SqlBool } from "kysely";
import type { Dialect } from "./database.ts";

/** The texts of a JSON list, for `in`: one parameter, so that a query is built and compiled once, however many they are. */
export const textsOf = (dialect: Dialect, json: string): RawBuilder<string> =>
  dialect === "sqlite"
    ? sql<string>`(select value from json_each(${json}))`
    : sql<string>`(select json_array_elements_text(cast(${json} as json)))`;

/**
 * Whether a text column is one of them, each of which is looked up in the column's index. PostgreSQL would take the list
 * for a join with a hundred rows, and rather go through a table of a few thousand.
 */
export const isAmong = (dialect: Dialect, column: string, json: string): RawBuilder<SqlBool> =>
  dialect === "sqlite"
    ? sql<SqlBool>`${sql.ref(column)} in ${textsOf(dialect, json)}`
    : sql<SqlBool>`${sql.ref(column)} = any(array${textsOf(dialect, json)})`;

/** A JSON object of texts as the table `pair`, whose columns are `key` and `value`, likewise. */
export const pairsOf = (dialect: Dialect, json: string): RawBuilder<{ readonly key: string; readonly value: string }> =>
  dialect === "sqlite" ? sql`json_each(${json})` : sql`json_each_text(cast(${json} as json))`;
