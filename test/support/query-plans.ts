import { CompiledQuery, type KyselyPlugin } from "kysely";
import type { Database, Writer } from "../../src/platform/database/database.ts";
import { ask, straightWays } from "../../src/platform/database/prepared.ts";

/** As a database is asked. */
export interface Statement {
  readonly sql: string;
  readonly parameters: readonly unknown[];
}

/** The same database; `onStatement` hears of all that it is asked. */
export function overheard(database: Database, onStatement: (statement: Statement) => void): Database {
  const plugin: KyselyPlugin = {
    transformQuery({ node, queryId }) {
      onStatement(database.read.getExecutor().compileQuery(node, queryId));
      return node;
    },
    transformResult: async ({ result }) => result,
  };
  /** What was compiled before, no plugin hears of. */
  const overheardWriter = (tx: Writer): Writer => {
    const heard = tx.withPlugin(plugin);
    straightWays.set(heard, async (query) => {
      onStatement(query);
      return { rows: await ask(tx, query) };
    });
    return heard;
  };
  return {
    ...database,
    read: database.read.withPlugin(plugin),
    all(query) {
      onStatement(query);
      return database.all(query);
    },
    write: (work, options) => database.write((tx) => work(overheardWriter(tx)), options),
    writeOne(query, options) {
      onStatement(query);
      return database.writeOne(query, options);
    },
  };
}

/** A prepared query is built without the values that it is asked with. */
export const isAsked = ({ parameters }: Statement): boolean =>
  parameters.every((value) => value === null || typeof value !== "object" || value instanceof Uint8Array);

/** Lines of the database's plan, without running it. */
export async function planOf({ read, dialect }: Database, statement: Statement): Promise<readonly string[]> {
  const words = dialect === "sqlite" ? "explain query plan" : "explain";
  const query = CompiledQuery.raw(`${words} ${statement.sql}`, [...statement.parameters]);
  const { rows } = await read.executeQuery<{ readonly detail?: string; readonly "QUERY PLAN"?: string }>(query);
  return rows.map((row) => (row.detail ?? row["QUERY PLAN"] ?? "").trim());
}
