import { sql } from "kysely";
import type { Writer } from "./database.ts";

interface Kept {
  readonly table: string;
  /** Whose rows they are, by a text column. */
  readonly column: string;
  readonly value: string;
  readonly most: number;
}

/**
 * Keeps the newest rows of one owner, by `created_at` and `id`, which an index should have behind the owner's column; of
 * those that are too many, no more than `most` go at once.
 * @returns the ids of those that went
 */
export async function dropOldest(tx: Writer, { table, column, value, most }: Kept): Promise<readonly string[]> {
  const [rows, owner] = [sql.table(table), sql.ref(column)];
  const gone = await sql<{ readonly id: string }>`
    delete from ${rows} where id in
      (select id from ${rows} where ${owner} = ${value} order by created_at desc, id desc limit ${most} offset ${most})
    returning id`.execute(tx);
  return gone.rows.map(({ id }) => id);
}
