import {
  type Expression,
  type ExpressionBuilder,
  expressionBuilder,
  type SelectQueryBuilder,
  type SqlBool,
} from "kysely";
import type { RepositoryName } from "../oci/names.ts";
import type { Visibility } from "../oci/visibility.ts";
import { clock } from "../platform/database/clock.ts";
import type { Database, Reader, Tables, Writer } from "../platform/database/database.ts";
import { prepared, within } from "../platform/database/prepared.ts";
import { type RecordingWriter, recordEvents } from "../platform/events/record-events.ts";
import type { Registry } from "./registry.ts";

/** With a page, it need not hold of more than the first `limit + 1` names behind `after` of which it holds. */
type Condition = (expression: ExpressionBuilder<Tables, "repositories">, page?: PageRequest) => Expression<SqlBool>;

/**
 * Which repositories a list may show: those that fulfil any of these conditions on `repositories`, each of which an
 * index answers. Made by access.
 */
export type Visible = readonly [Condition, ...Condition[]];

/** As one condition, for those who look at a few repositories that something else has chosen. */
export const isVisible =
  (visible: Visible): Condition =>
  (expression) =>
    expression.or(visible.map((condition) => condition(expression)));

/** Whoever writes to a repository has it stay until the transaction ends; its deletion waits, and they for that. */
const kept = prepared((write, { name }: { readonly name: string }, dialect) =>
  write
    .selectFrom("repositories")
    .select("id")
    .where("name", "=", name)
    .$if(dialect === "postgres", (query) => query.forKeyShare()),
);

/** The repository's id, which nobody deletes until the transaction ends; `undefined` where there is none. */
export async function keepRepository(
  tx: Writer,
  database: Database,
  name: RepositoryName,
): Promise<number | undefined> {
  const [row] = await kept(within(tx, database), { name });
  return row?.id;
}

/** Of these repositories, those that are there; they stay until the transaction ends. */
export async function keepRepositories(
  tx: Writer,
  { dialect }: Database,
  ids: readonly number[],
): Promise<ReadonlySet<number>> {
  const rows = await tx
    .selectFrom("repositories")
    .select("id")
    .where("id", "in", ids)
    .orderBy("id")
    .$if(dialect === "postgres", (query) => query.forKeyShare())
    .execute();
  return new Set(rows.map(({ id }) => id));
}

/** For a statement on what is in one. Not joined: so that PostgreSQL, too, takes rows in the order of an index. */
export const idOfRepository = (name: string) =>
  expressionBuilder<Tables>().selectFrom("repositories").select("id").where("repositories.name", "=", name);

export async function findRepository(reader: Reader, name: RepositoryName): Promise<number | undefined> {
  const row = await reader.selectFrom("repositories").select("id").where("name", "=", name).executeTakeFirst();
  return row?.id;
}

/** The repository's id; made when it does not exist, as its namespace says. */
export async function ensureRepository(
  registry: Pick<Registry, "database" | "visibilityOfNew" | "furnish">,
  tx: RecordingWriter,
  name: RepositoryName,
): Promise<number> {
  const { database, visibilityOfNew, furnish } = registry;
  const found = await keepRepository(tx, database, name);
  if (found !== undefined) return found;
  const made = await createRepository(database, tx, { name, visibility: await visibilityOfNew(tx, name) });
  // Another has made it meanwhile, and what it has is theirs to say.
  if (made === undefined) return ensureRepository(registry, tx, name);
  await furnish(tx, name);
  return made;
}

/** Of two transactions that get here at once the loser's insert waits for the winner's: `undefined`, it has made none. */
export async function createRepository(
  { dialect }: Database,
  tx: RecordingWriter,
  { name, visibility }: { readonly name: RepositoryName; readonly visibility: Visibility },
): Promise<number | undefined> {
  const made = await tx
    .insertInto("repositories")
    .values({ name, visibility, created_at: clock(dialect) })
    .onConflict((conflict) => conflict.column("name").doNothing())
    .returning(["id", "created_at"])
    .executeTakeFirst();
  if (made === undefined) return undefined;
  recordEvents(tx, { kind: "repository-created", repository: name, visibility, at: made.created_at });
  return made.id;
}

/**
 * Whoever decides on access has to hear of it, so access alone calls this.
 * @returns what it was before; `undefined` where there is no such repository
 */
export async function setVisibility(
  tx: RecordingWriter,
  repository: RepositoryName,
  visibility: Visibility,
): Promise<Visibility | undefined> {
  const row = await tx
    .selectFrom("repositories")
    .select(["id", "visibility"])
    .where("name", "=", repository)
    .executeTakeFirst();
  if (row === undefined || row.visibility === visibility) return row?.visibility;
  await tx.updateTable("repositories").set({ visibility }).where("id", "=", row.id).execute();
  recordEvents(tx, { kind: "visibility-changed", repository, from: row.visibility, visibility });
  return row.visibility;
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

type Names = SelectQueryBuilder<Tables, "repositories", { readonly name: string }>;

/** Names of the visible repositories, in byte order. */
export async function listRepositories(
  { database }: Registry,
  visible: Visible,
  { after, limit }: PageRequest,
): Promise<Page<string>> {
  const pageOf = (condition: Condition) =>
    database.read
      .selectFrom("repositories")
      .select("name")
      .where((expression) => condition(expression, { after, limit }))
      .$if(after !== undefined, (query) => query.where("name", ">", after ?? ""))
      .orderBy("name")
      .limit(limit + 1);
  const [first, ...others] = visible;
  const rows =
    others.length === 0
      ? await pageOf(first).execute()
      : await merged([pageOf(first), ...others.map(pageOf)], database.read)
          .orderBy("name")
          .limit(limit + 1)
          .execute();
  return toPage(
    rows.map((row) => row.name),
    limit,
  );
}

/** Each condition has its page from its own index; as one, they would have all repositories gone through. */
const merged = ([first, ...others]: readonly [Names, ...Names[]], read: Reader) => {
  const page = (names: Names) => read.selectFrom(names.as("page")).select("name");
  return others.reduce((all, one) => all.union(page(one)), page(first));
};
