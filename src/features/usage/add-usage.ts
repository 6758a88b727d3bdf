import { type RawBuilder, sql } from "kysely";
import type { Database } from "../../platform/database/database.ts";
import type { UsageRow } from "./tables.ts";

/** So few that nobody waits for the transaction that writes them. */
const rowsAtOnce = 100;

/**
 * Adds to what is there, a few rows at once and in the order of their keys, so that of two processes none waits for one that
 * waits for it. What is written is taken out of the map.
 */
export async function addUsage(database: Database, gathered: Map<string, UsageRow>): Promise<void> {
  const keys = [...gathered.keys()].toSorted();
  for (let start = 0; start < keys.length; start += rowsAtOnce) {
    const some = keys.slice(start, start + rowsAtOnce);
    const rows = some.flatMap((key) => gathered.get(key) ?? []);
    await database.write(
      (tx) =>
        tx
          .insertInto("usage_days")
          .values(rows)
          .onConflict((conflict) =>
            conflict.columns(["day", "repository", "principal_id", "token_id"]).doUpdateSet({
              pulls: sum("pulls"),
              pulled_bytes: sum("pulled_bytes"),
              pushes: sum("pushes"),
              pushed_bytes: sum("pushed_bytes"),
            }),
          )
          .execute(),
      { survives: "process" },
    );
    for (const key of some) gathered.delete(key);
  }
}

const sum = (column: string): RawBuilder<number> =>
  sql<number>`${sql.ref(`usage_days.${column}`)} + ${sql.ref(`excluded.${column}`)}`;
