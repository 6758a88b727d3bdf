import { setImmediate as nextTurn, setTimeout as sleep } from "node:timers/promises";
import type { Database as BunSqlite } from "bun:sqlite";
import { errorCode } from "../../telemetry/error-code.ts";
import type { Database, Survives, WriteOptions } from "../database.ts";
import type { Log } from "./log-trust.ts";
import type { Statement, StatementResult } from "./sqlite-dialect.ts";
import type { Statements } from "./statements.ts";
import { longestGoMs, runTransaction } from "./transaction.ts";

/** The connection that writes, and what has to be done for it to be trusted. */
export interface Writing {
  readonly database: Pick<BunSqlite, "inTransaction">;
  readonly statements: Pick<Statements, "run">;
  readonly log: Log;
  /** Told of each commit before anybody else. */
  readonly onCommit: () => void;
  /** Lets others have this processor for a moment, where any of them wait for it. */
  readonly giveWay: () => void;
  readonly busyLimitMs?: number;
}

/** A transaction of another process takes less; one that takes longer is not asked after all the time. */
const [restlessMs, restMs, longestBusyMs] = [5, 2, 10_000];
/** Eight clients that push are seldom more in one turn; other processes have to wait for all of them. */
const mostAsOne = 8;

interface Job {
  readonly survives: Survives;
  /** @throws SqliteError SQLITE_BUSY where another process writes: nothing was done, and it may be called again */
  readonly runAlone: () => Promise<void>;
  /** Between the BEGIN and the COMMIT of several. Where it fails or is long, none of them has happened. */
  readonly runAmongOthers: () => Promise<void>;
  readonly resolve: () => void;
  readonly reject: (reason: unknown) => void;
}

/**
 * Transactions, one after the other, most of them in one turn of the event loop: they await nothing but their own queries,
 * and SQLite answers those at once. So nobody has the database locked while anything is waited for. Those that come in one
 * turn are one to SQLite, which writes the pages that they share once and empties the readers' caches once: eight clients
 * that push have three and a half a turn, and take a twelfth less of the event loop. Each finds the tables as those before
 * it left them, so that it could have been alone; what a constraint forbids has to be known by its own statement, and not by
 * a commit for which others could make it good, so no table of ours has a deferred one. What has to survive a loss of power
 * waits for a sync of the log behind its commit, which it shares with others; meanwhile the next ones run.
 */
export function transactionsOf(writing: Writing): Pick<Database, "write" | "writeOne"> {
  const waiting: Job[] = [];
  let isRunning = false;
  const runAll = async (): Promise<void> => {
    isRunning = true;
    while (waiting.length > 0) {
      await nextTurn();
      await runAsOne(writing, waiting.splice(0, mostAsOne), waiting);
    }
    isRunning = false;
  };
  const add = <T>(survives: Survives, alone: () => T | Promise<T>, amongOthers: () => T | Promise<T>): Promise<T> => {
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    let answer: T;
    waiting.push({
      survives,
      runAlone: async () => {
        answer = await alone();
      },
      runAmongOthers: async () => {
        answer = await amongOthers();
      },
      resolve: () => resolve(answer),
      reject,
    });
    if (!isRunning) void runAll();
    return promise;
  };
  return {
    write: (work, { survives }: WriteOptions = durably) => {
      const alone = () => transact(writing, () => runTransaction(writing, work));
      return add(survives, alone, () => runTransaction({ ...writing, mayRest: false }, work));
    },
    async writeOne<R>(query: Statement, { survives }: WriteOptions = durably): Promise<readonly R[]> {
      const run = (): StatementResult => writing.statements.run(query);
      const { rows } = await add(survives, run, run);
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the row type is Kysely's promise to its caller
      return rows as readonly R[];
    },
  };
}

const durably: WriteOptions = { survives: "power" };

async function runAsOne(writing: Writing, jobs: Job[], waiting: Job[]): Promise<void> {
  const { log, onCommit } = writing;
  const [only] = jobs.length === 1 ? jobs : [];
  const run = only?.runAlone ?? (() => transact(writing, () => inOrder(jobs, waiting)));
  try {
    const untilReady = log.require();
    if (untilReady !== undefined) await untilReady;
    await untilFree(writing, run);
  } catch (error) {
    log.noteFailure(error);
    // Who came meanwhile would not find the database any freer.
    if (isBusy(error)) for (const job of [...jobs, ...waiting.splice(0)]) job.reject(error);
    else if (only !== undefined) only.reject(error);
    else await oneByOne(writing, jobs, waiting);
    return;
  }
  onCommit();
  for (const { survives, resolve, reject } of jobs) {
    if (survives === "process") resolve();
    else log.sync().then(resolve, reject);
  }
}

/** As many as can be run in one go stay in `jobs`; the others wait for the next turn. */
async function inOrder(jobs: Job[], waiting: Job[]): Promise<void> {
  const began = performance.now();
  for (const [at, { runAmongOthers }] of jobs.entries()) {
    await runAmongOthers();
    if (performance.now() - began > longestGoMs) waiting.unshift(...jobs.splice(at + 1));
  }
}

/** Nothing of any of them has stayed: whose fault it was, each finds out by itself. */
async function oneByOne(writing: Writing, jobs: readonly Job[], waiting: Job[]): Promise<void> {
  for (const job of jobs) {
    await runAsOne(writing, [job], waiting);
    await nextTurn();
  }
}

export const isBusy = (error: unknown): boolean => errorCode(error).startsWith("SQLITE_BUSY");

/**
 * SQLite would wait for another process by letting the thread sleep, a millisecond at least. Who has the database may be
 * waiting for the processor that would be taken here by asking again and again: of two workers with eight clients on two
 * processors, one write of a hundred waits for 5 ms so, and for 8 otherwise, and an image takes a tenth more of their time.
 */
async function untilFree({ giveWay, busyLimitMs = longestBusyMs }: Writing, run: () => Promise<void>): Promise<void> {
  for (const began = performance.now(); ;) {
    try {
      return await run();
    } catch (error) {
      const waitedMs = performance.now() - began;
      if (!isBusy(error) || waitedMs > busyLimitMs) throw error;
      giveWay();
      await (waitedMs < restlessMs ? nextTurn() : sleep(restMs));
    }
  }
}

const statementOf = (sql: string): Statement => ({ sql, parameters: [] });
const [begin, commit, rollback] = [statementOf("BEGIN IMMEDIATE"), statementOf("COMMIT"), statementOf("ROLLBACK")];

async function transact<T>({ database, statements }: Writing, work: () => Promise<T>): Promise<T> {
  statements.run(begin);
  try {
    const answer = await work();
    statements.run(commit);
    return answer;
  } catch (error) {
    // On a full disk SQLite has undone it by itself.
    if (database.inTransaction) statements.run(rollback);
    throw error;
  }
}
