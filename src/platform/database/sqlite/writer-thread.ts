// The writing connection lives in a thread of its own, so that what waits for the disk never blocks the event loop.
import { Database } from "bun:sqlite";
import { parentPort, workerData } from "node:worker_threads";
import { type Statements, statementsOf } from "./statements.ts";
import { type Answer, type Order, skipped, writerPragmas } from "./writer-protocol.ts";

function open(path: string): Database {
  const database = new Database(path, { create: true, readwrite: true });
  for (const pragma of writerPragmas) database.run(pragma);
  return database;
}

interface Connection {
  readonly database: Database;
  readonly statements: Statements;
}

function answer(connection: Connection, { id, sql, parameters, first }: Order): Answer {
  const { database, statements } = connection;
  try {
    for (const one of first) {
      if (one === "BEGIN IMMEDIATE") begin(connection);
      else statements.run({ sql: one, parameters: [] });
    }
  } catch (error) {
    return failed(id, error, { isOfFirst: true, isOver: !database.inTransaction });
  }
  try {
    return { id, ...statements.run({ sql, parameters }) };
  } catch (error) {
    return failed(id, error, { isOfFirst: false, isOver: !database.inTransaction });
  }
}

const [busyRetryMs, busyLimitMs] = [0.1, 10_000];
const nobodysWord = new Int32Array(new SharedArrayBuffer(4));

/**
 * Another process may be writing, but does not wait for the disk meanwhile: its transaction is over before SQLite would
 * look once more, which is after a millisecond at the earliest.
 */
function begin({ statements }: Connection): void {
  for (const deadline = Date.now() + busyLimitMs; ; Atomics.wait(nobodysWord, 0, 0, busyRetryMs)) {
    try {
      statements.run({ sql: "BEGIN IMMEDIATE", parameters: [] });
      return;
    } catch (error) {
      if (!codeOf(error).startsWith("SQLITE_BUSY") || Date.now() > deadline) throw error;
    }
  }
}

const codeOf = (error: unknown): string => (error instanceof Error && "code" in error ? String(error.code) : "UNKNOWN");

function failed(
  id: number,
  error: unknown,
  where: { readonly isOfFirst: boolean; readonly isOver: boolean } = { isOfFirst: false, isOver: true },
): Answer {
  return { id, message: error instanceof Error ? error.message : String(error), code: codeOf(error), ...where };
}

function answerAll(connection: Connection, orders: readonly Order[]): readonly Answer[] {
  const answers: Answer[] = [];
  for (const order of orders) {
    const before = answers.at(-1);
    // What was sent behind a statement that failed was sent without knowing it.
    answers.push(
      before !== undefined && "message" in before
        ? { ...before, id: order.id, code: skipped, message: `not run: ${before.message}` }
        : answer(connection, order),
    );
  }
  return answers;
}

function serve(database: Database): void {
  const statements = statementsOf(database);
  parentPort?.on("message", (orders: readonly Order[]) => {
    if (orders[0]?.sql === "close") {
      statements.finalize();
      database.close();
      process.exit(0);
    }
    parentPort?.postMessage(answerAll({ database, statements }, orders));
  });
  parentPort?.postMessage([{ id: 0, rows: [], changes: 0 }] satisfies readonly Answer[]);
}

try {
  serve(open(String(workerData)));
} catch (error) {
  parentPort?.postMessage([failed(0, error)]);
}
