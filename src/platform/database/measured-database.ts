import type { KyselyPlugin, QueryId } from "kysely";
import type { Database } from "./database.ts";

/** Called when a query that reads, or a transaction that writes, has ended. */
export type OnDatabaseAction = (action: "read" | "write", seconds: number) => void;

/** The same database, each of its actions timed; of a read that fails nothing is told. */
export function measuredDatabase(database: Database, onAction: OnDatabaseAction): Database {
  const timed = async <T>(write: Promise<T>): Promise<T> => {
    const started = performance.now();
    try {
      return await write;
    } finally {
      onAction("write", (performance.now() - started) / 1000);
    }
  };
  return {
    dialect: database.dialect,
    read: database.read.withPlugin(timing((seconds) => onAction("read", seconds))),
    async all(query) {
      const started = performance.now();
      const rows = await database.all(query);
      onAction("read", (performance.now() - started) / 1000);
      return rows;
    },
    ...(database.revision && { revision: database.revision }),
    write: (...given) => timed(database.write(...given)),
    writeOne: (...given) => timed(database.writeOne(...given)),
    close: () => database.close(),
  };
}

function timing(onQuery: (seconds: number) => void): KyselyPlugin {
  const started = new WeakMap<QueryId, number>();
  return {
    transformQuery({ node, queryId }) {
      started.set(queryId, performance.now());
      return node;
    },
    async transformResult({ result, queryId }) {
      const at = started.get(queryId);
      if (at !== undefined) onQuery((performance.now() - at) / 1000);
      return result;
    },
  };
}
