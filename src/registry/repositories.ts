import type { Expression, ExpressionBuilder, SqlBool } from "kysely";
import type { RepositoryName } from "../oci/names.ts";
import { clock } from "../platform/database/clock.ts";
import type { Database, Reader, Tables } from "../platform/database/database.ts";
import { prepared, within } from "../platform/database/prepared.ts";
import { type RecordingWriter, recordEvents } from "../platform/events/record-events.ts";
import type { Registry } from "./registry.ts";

/** Which repositories a list may show: a condition on `repositories`, made by access. */
export type Visible = (expression: ExpressionBuilder<Tables, "repositories">) => Expression<SqlBool>;

const byName = prepared((read, { name }: { readonly name: string }) =>
  read.selectFrom("repositories").select("id").where("name", "=", name),
);

export async function findRepository(reader: Reader, name: RepositoryName): Promise<number | undefined> {
  const row = await reader.selectFrom("repositories").select("id").where("name", "=", name).executeTakeFirst();
  return row?.id;
}

/** The repository's id; made when it does not exist. */
export async function ensureRepository(tx: RecordingWriter, database: Database, name: RepositoryName): Promise<number> {
  const [found] = await byName(within(tx, database), { name });
  if (found !== undefined) return found.id;
  // Two transactions may get here at once: the loser's insert waits, changes nothing and reads the winner's row.
  const { id, created_at } = await tx
    .insertInto("repositories")
    .values({ name, created_at: clock(database.dialect) })
    .onConflict((conflict) => conflict.column("name").doUpdateSet({ name }))
    .returning(["id", "created_at"])
    .executeTakeFirstOrThrow();
  recordEvents(tx, { kind: "repository-created", repository: name, at: created_at });
  return id;
}

export interface PageRequest {
  /** Names after this value, which need not exist. */
  readonly after: string | undefined;
  readonly limit: number;
}

export interface Page<T> {
  readonly items: readonly T[];
  readonly isLast: boolean;
}

/** One row more than asked for tells whether there is a next page. */
export const toPage = <T>(rows: readonly T[], limit: number): Page<T> => ({
  items: rows.slice(0, limit),
  isLast: rows.length <= limit,
});

/** Names of the visible repositories, in byte order. */
export async function listRepositories(
  { database }: Registry,
  visible: Visible,
  { after, limit }: PageRequest,
): Promise<Page<string>> {
  const rows = await database.read
    .selectFrom("repositories")
    .select("name")
    .where(visible)
    .$if(after !== undefined, (query) => query.where("name", ">", after ?? ""))
    .orderBy("name")
    .limit(limit + 1)
    .execute();
  return toPage(
    rows.map((row) => row.name),
    limit,
  );
}
