import { setImmediate as nextTurn } from "node:timers/promises";
import { DefaultQueryExecutor, SqliteAdapter, Transaction } from "kysely";
import type { Tables, Writer } from "../database.ts";
import { straightWays } from "../prepared.ts";
import { type Execute, PlanOnceCompiler, sqliteConnection, sqliteDialect } from "./sqlite-dialect.ts";
import type { Writing } from "./transactions.ts";

export type Work<T> = (tx: Writer) => Promise<T>;

/** After as long as this has been written in one go, others are answered in between. */
export const longestGoMs = 1;

/**
 * Runs what is between the BEGIN of a transaction and its COMMIT. It takes one turn of the event loop, or where it has
 * very much to write (the ten thousand edges of an index), as many as others need to be answered between its statements.
 * @throws Error what `work` does; also where it awaited something that is not one of its own queries, or went on after
 *   SQLite had undone all of it
 */
export async function runTransaction<T>(
  { database, statements }: Pick<Writing, "database" | "statements">,
  work: Work<T>,
): Promise<T> {
  const { promise: strayed, reject } = Promise.withResolvers<never>();
  let end: unknown;
  let resting = 0;
  let since = performance.now();
  const execute: Execute = (statement) => {
    if (end !== undefined) throw end;
    try {
      return statements.run(statement);
    } catch (error) {
      // What comes after would be committed alone.
      if (!database.inTransaction) end = error;
      throw error;
    }
  };
  const rest = async (): Promise<void> => {
    resting += 1;
    await nextTurn();
    resting -= 1;
    since = performance.now();
  };
  // Its queries are answered at once: where it does not rest, it has ended before the next turn.
  const watch = (): void => {
    if (end !== undefined) return;
    if (resting > 0) {
      setImmediate(watch);
      return;
    }
    end = new Error("a transaction awaited something that is not one of its own queries");
    reject(end);
  };
  setImmediate(watch);
  const tx = transactionOver(execute, () => (performance.now() - since < longestGoMs ? undefined : rest()));
  try {
    const answer = await Promise.race([work(tx), strayed]);
    if (end !== undefined) throw end;
    return answer;
  } finally {
    end ??= new Error("a query came after its transaction had ended");
  }
}

const [compiler, adapter] = [new PlanOnceCompiler(), new SqliteAdapter()];
const dialect = sqliteDialect(() => {
  throw new Error("queries of a transaction go through its own connection");
});
const driver = dialect.createDriver();

/** Kysely's own way to a transaction makes a dozen objects around it, and takes 40 us where this takes two. */
function transactionOver(execute: Execute, mayRest: () => Promise<void> | undefined): Writer {
  const connection = sqliteConnection(execute);
  const executor = new DefaultQueryExecutor(compiler, adapter, {
    async provideConnection(consumer) {
      const answer = await consumer(connection);
      await mayRest();
      return answer;
    },
  });
  const tx = new Transaction<Tables>({ config: { dialect }, dialect, driver, executor });
  straightWays.set(tx, async (query) => {
    const answer = execute(query);
    const resting = mayRest();
    if (resting !== undefined) await resting;
    return answer;
  });
  return tx;
}
