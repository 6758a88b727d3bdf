import { setImmediate as nextTurn, setTimeout as sleep } from "node:timers/promises";
import type { Database as BunSqlite } from "bun:sqlite";
import { errorCode } from "../../telemetry/error-code.ts";
import type { Database, Survives, WriteOptions } from "../database.ts";
import type { Log } from "./log-trust.ts";
import type { Statement, StatementResult } from "./sqlite-dialect.ts";
import type { Statements } from "./statements.ts";
import { longestGoMs, runTransaction, type Work } from "./transaction.ts";

/** The connection that writes, and what has to be done for it to be trusted. */
export interface Writing {
  readonly database: Pick<BunSqlite, "inTransaction">;
  readonly statements: Pick<Statements, "run">;
  readonly log: Log;
  /** Told of each commit before anybody else. */
  readonly onCommit: () => void;
  readonly busyLimitMs?: number;
}

/** A transaction of another process takes less; one that takes longer is not asked after all the time. */
const [restlessMs, restMs, longestBusyMs] = [5, 2, 10_000];

interface Job {
  readonly survives: Survives;
  /** @throws SqliteError SQLITE_BUSY where another process writes: nothing was done, and it may be called again */
  readonly run: () => Promise<void>;
  readonly resolve: () => void;
  readonly reject: (reason: unknown) => void;
}

/**
 * Transactions, one after the other, most of them in one turn of the event loop: they await nothing but their own queries,
 * and SQLite answers those at once. So nobody has the database locked while anything is waited for. What has to survive a
 * loss of power waits for a sync of the log behind its commit, which it shares with others; meanwhile the next ones run.
 */
export function transactionsOf(writing: Writing): Pick<Database, "write" | "writeOne"> {
  const waiting: Job[] = [];
  let isRunning = false;
  const runAll = async (): Promise<void> => {
    isRunning = true;
    let since = performance.now();
    for (let job = waiting.shift(); job !== undefined; job = waiting.shift()) {
      await runJob(writing, job, waiting);
      if (performance.now() - since < longestGoMs) continue;
      await nextTurn();
      since = performance.now();
    }
    isRunning = false;
  };
  const add = <T>(survives: Survives, run: () => T | Promise<T>): Promise<T> => {
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    let answer: T;
    waiting.push({
      survives,
      run: async () => {
        answer = await run();
      },
      resolve: () => resolve(answer),
      reject,
    });
    if (!isRunning) void runAll();
    return promise;
  };
  return {
    write: (work, { survives }: WriteOptions = durably) => add(survives, () => transact(writing, work)),
    async writeOne<R>(query: Statement, { survives }: WriteOptions = durably): Promise<readonly R[]> {
      const { rows } = await add(survives, () => runAlone(writing, query));
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the row type is Kysely's promise to its caller
      return rows as readonly R[];
    },
  };
}

const durably: WriteOptions = { survives: "power" };

async function runJob(writing: Writing, job: Job, waiting: Job[]): Promise<void> {
  const { log, onCommit } = writing;
  try {
    const untilReady = log.require();
    if (untilReady !== undefined) await untilReady;
    await untilFree(job, writing.busyLimitMs ?? longestBusyMs);
  } catch (error) {
    log.noteFailure(error);
    job.reject(error);
    // Who came meanwhile would not find the database any freer.
    if (isBusy(error)) for (const other of waiting.splice(0)) other.reject(error);
    return;
  }
  onCommit();
  if (job.survives === "process") job.resolve();
  else log.sync().then(job.resolve, job.reject);
}

export const isBusy = (error: unknown): boolean => errorCode(error).startsWith("SQLITE_BUSY");

/** SQLite would wait for another process by letting the thread sleep, a millisecond at least. */
async function untilFree({ run }: Job, limitMs: number): Promise<void> {
  for (const began = performance.now(); ;) {
    try {
      return await run();
    } catch (error) {
      const waitedMs = performance.now() - began;
      if (!isBusy(error) || waitedMs > limitMs) throw error;
      await (waitedMs < restlessMs ? nextTurn() : sleep(restMs));
    }
  }
}

const statementOf = (sql: string): Statement => ({ sql, parameters: [] });
const [begin, commit, rollback] = [statementOf("BEGIN IMMEDIATE"), statementOf("COMMIT"), statementOf("ROLLBACK")];

/** A statement is a transaction by itself. */
const runAlone = ({ statements }: Writing, statement: Statement): StatementResult => statements.run(statement);

async function transact<T>({ database, statements }: Writing, work: Work<T>): Promise<T> {
  statements.run(begin);
  try {
    const answer = await runTransaction({ database, statements }, work);
    statements.run(commit);
    return answer;
  } catch (error) {
    // On a full disk SQLite has undone it by itself.
    if (database.inTransaction) statements.run(rollback);
    throw error;
  }
}
