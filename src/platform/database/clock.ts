import { type RawBuilder, sql } from "kysely";
import type { Dialect } from "./database.ts";

/** Milliseconds since 1970 by the database's clock: the one clock that all replicas share. */
export const clock = (dialect: Dialect): RawBuilder<number> =>
  dialect === "sqlite"
    ? sql<number>`cast(unixepoch('now', 'subsec') * 1000 as integer)`
    : sql<number>`cast(extract(epoch from clock_timestamp()) * 1000 as bigint)`;
