// The writing connection lives in a thread of its own, so that the fsync of a commit never blocks the event loop.
import { Database } from "bun:sqlite";
import { parentPort, workerData } from "node:worker_threads";
import { type Statements, statementsOf } from "./statements.ts";
import { type Answer, type Order, writerPragmas } from "./writer-protocol.ts";

function open(path: string): Database {
  const database = new Database(path, { create: true, readwrite: true });
  for (const pragma of writerPragmas) database.run(pragma);
  return database;
}

interface Connection {
  readonly database: Database;
  readonly statements: Statements;
}

function answer({ database, statements }: Connection, { id, sql, parameters, first }: Order): Answer {
  try {
    for (const one of first) statements.run({ sql: one, parameters: [] });
  } catch (error) {
    return failed(id, error, true);
  }
  try {
    // This pragma acts when it is compiled: one that comes out of the cache of statements would do nothing.
    if (sql.startsWith("PRAGMA synchronous ")) return { id, rows: [], changes: database.run(sql).changes };
    return { id, ...statements.run({ sql, parameters }) };
  } catch (error) {
    return failed(id, error);
  }
}

function failed(id: number, error: unknown, isOfFirst = false): Answer {
  const code = error instanceof Error && "code" in error ? String(error.code) : "UNKNOWN";
  return { id, message: error instanceof Error ? error.message : String(error), code, isOfFirst };
}

function serve(database: Database): void {
  const statements = statementsOf(database);
  parentPort?.on("message", (order: Order) => {
    if (order.sql === "close") {
      statements.finalize();
      database.close();
      process.exit(0);
    }
    parentPort?.postMessage(answer({ database, statements }, order));
  });
  parentPort?.postMessage({ id: 0, rows: [], changes: 0 } satisfies Answer);
}

try {
  serve(open(String(workerData)));
} catch (error) {
  parentPort?.postMessage(failed(0, error));
}
