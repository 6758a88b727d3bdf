import { setTimeout as sleep } from "node:timers/promises";
import { Kysely, type Transaction } from "kysely";
import { straightWays } from "../prepared.ts";
import type { Database, Survives, Tables, WriteOptions, Writer } from "../database.ts";
import {
  type Execute,
  type Statement,
  type StatementResult,
  sqliteDialect,
  type TransactionControl,
} from "./sqlite-dialect.ts";
import type { Log } from "./log-trust.ts";
import { skipped, SqliteError } from "./writer-protocol.ts";

type Work<T> = (tx: Writer) => Promise<T>;

/** What is written all or nothing. */
interface Job {
  readonly survives: Survives;
  /** Where the job is this one statement, which undoes itself where it fails and so needs no savepoint. */
  readonly alone?: Statement;
  /** Runs in a savepoint of the group's transaction; never rejects, and resolves to what took the whole group along. */
  readonly run: (execute: Execute) => Promise<Error | undefined>;
  readonly settle: (commit: PromiseSettledResult<void>) => void;
}

/** A group this large commits though more is waiting, so that the first in it does not wait for ever. */
const mostJobsInGroup = 100;

/** How a process writes beside others; without turns it may write for ever, and who waits elsewhere would starve. */
export interface Turns {
  /** How long it writes without a pause. */
  readonly longestMs: number;
  /** The pause, in which one who waits elsewhere finds the database free. */
  readonly restMs: number;
}

/** Others write now and then: commands of an operator. */
export const almostAlone: Turns = { longestMs: Infinity, restMs: 0 };
/** Others write all the time. They look so often that none of them misses every pause. */
export const amongWriters: Turns = { longestMs: 25, restMs: 2 };

const savepoint = { begin: "SAVEPOINT job", release: "RELEASE job", undo: "ROLLBACK TO job" } as const;
const commitment: Statement = { sql: "COMMIT", parameters: [] };
const inSavepoint: TransactionControl = {
  begin: savepoint.begin,
  commit: [savepoint.release],
  rollback: [savepoint.undo, savepoint.release],
};

export type GroupCommit = Pick<Database, "write" | "writeOne">;

/**
 * Concurrent writes share one BEGIN IMMEDIATE and one commit, each in a savepoint of its own: a failure undoes its own
 * changes only. Jobs run one after the other. Nobody has the database locked while the disk is waited for: what has to
 * survive a loss of power waits for a sync of the log behind its commit, which it shares with others, and meanwhile the
 * next group runs.
 */
export function groupCommit({ execute, log, turns = almostAlone }: Connection): GroupCommit {
  const waiting: Job[] = [];
  let running = false;
  const run = async (): Promise<void> => {
    running = true;
    for (let since = performance.now(); waiting.length > 0;) {
      await runGroup({ execute, log }, waiting);
      if (performance.now() - since < turns.longestMs) continue;
      await sleep(turns.restMs);
      since = performance.now();
    }
    running = false;
  };
  const add = (job: Job): void => {
    waiting.push(job);
    if (!running) void run();
  };
  return {
    write<T>(work: Work<T>, { survives }: WriteOptions = { survives: "power" }): Promise<T> {
      const { promise, job } = makeJob({ work, survives });
      add(job);
      return promise;
    },
    async writeOne<R>(query: Statement, { survives }: WriteOptions = { survives: "power" }): Promise<readonly R[]> {
      const { promise, job } = makeAlone({ statement: query, survives });
      add(job);
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the row type is Kysely's promise to its caller
      return (await promise).rows as readonly R[];
    },
  };
}

interface Connection {
  readonly execute: Execute;
  readonly log: Log;
  readonly turns?: Turns;
}

async function runGroup({ execute, log }: Connection, waiting: Job[]): Promise<void> {
  const group: Job[] = [];
  const transaction = beginGroup(execute);
  const take = (isWanted: (job: Job) => boolean): Job | undefined => {
    const [job] = waiting;
    if (job === undefined || group.length === mostJobsInGroup || !isWanted(job)) return undefined;
    group.push(job);
    return waiting.shift();
  };
  const done = async (): Promise<void> => {
    await log.require();
    for (;;) {
      const alone: Job[] = [];
      for (let job = take(isAlone); job !== undefined; job = take(isAlone)) alone.push(job);
      const job = take(() => true);
      await runAlone(transaction.execute, alone, { thenCommit: job === undefined });
      if (job === undefined) return;
      const undone = await job.run(transaction.execute);
      if (undone !== undefined) throw undone;
    }
  };
  const [commit] = await Promise.allSettled([done()]);
  if (commit.status === "rejected") {
    log.noteFailure(commit.reason);
    // Nothing is known to be durable, so nothing is acknowledged; the connection is made ready for the next group.
    await Promise.allSettled([execute({ sql: "ROLLBACK", parameters: [] })]);
    // Who came meanwhile would not find the database any freer.
    if (!transaction.hasBegun()) group.push(...waiting.splice(0, mostJobsInGroup));
  }
  void settleGroup(group, commit, log);
}

const isAlone = ({ alone }: Job): boolean => alone !== undefined;

async function settleGroup(group: readonly Job[], commit: PromiseSettledResult<void>, log: Log): Promise<void> {
  for (const job of group) if (commit.status === "rejected" || job.survives === "process") job.settle(commit);
  const durable = group.filter(({ survives }) => survives === "power");
  if (commit.status === "rejected" || durable.length === 0) return;
  const [synced] = await Promise.allSettled([log.sync()]);
  for (const job of durable) job.settle(synced);
}

/**
 * Runs jobs of one statement, and the commit where there are no others: one message for all of them. One that fails
 * keeps those behind it from running, and they are sent once more.
 * @throws Error the commit's, or what took the transaction along
 */
async function runAlone(
  execute: Execute,
  jobs: readonly Job[],
  { thenCommit }: { readonly thenCommit: boolean },
): Promise<void> {
  if (jobs.length === 0 && !thenCommit) return;
  for (let left = jobs; ;) {
    const sent = left.map((job) => job.run(execute));
    const [commit] = await Promise.allSettled(thenCommit ? [execute(commitment)] : []);
    const undone = await Promise.all(sent);
    const over = undone.find((error) => error !== undefined && !isSkipped(error));
    if (over !== undefined) throw over;
    left = left.filter((_, at) => undone[at] !== undefined);
    if (left.length > 0 || (commit?.status === "rejected" && isSkipped(commit.reason))) continue;
    if (commit?.status === "rejected") throw commit.reason;
    return;
  }
}

const isSkipped = (error: unknown): boolean => error instanceof SqliteError && error.code === skipped;

interface GroupTransaction {
  /** Runs nothing more once what had to run before a statement has failed. */
  readonly execute: Execute;
  hasBegun(): boolean;
}

/**
 * What begins a transaction or a savepoint and what releases one has nothing to answer: it goes to the thread with the
 * statement that follows. A write of one statement takes two ways there and back instead of five.
 */
function beginGroup(execute: Execute): GroupTransaction {
  let first = ["BEGIN IMMEDIATE"];
  let hasBegun = false;
  let failure: SqliteError | undefined;
  return {
    hasBegun: () => hasBegun,
    async execute(statement) {
      if (failure !== undefined) throw failure;
      if (statement.sql === savepoint.begin || statement.sql === savepoint.release) {
        first.push(statement.sql);
        return { rows: [], changes: 0 };
      }
      const whole = { ...statement, first };
      first = [];
      try {
        return await execute(whole);
      } catch (error) {
        if (isOfFirst(error)) failure = error;
        throw error;
      } finally {
        hasBegun ||= failure === undefined;
      }
    },
  };
}

const isOfFirst = (error: unknown): error is SqliteError => error instanceof SqliteError && error.isOfFirst;

interface Order<T> {
  readonly work: Work<T>;
  readonly survives: Survives;
}

function makeJob<T>({ work, survives }: Order<T>): { readonly promise: Promise<T>; readonly job: Job } {
  const { promise, resolve, reject } = Promise.withResolvers<T>();
  let outcome: PromiseSettledResult<T> | undefined;
  const job: Job = {
    survives,
    async run(execute) {
      const watch = watchQueries(execute);
      let undone: Error | undefined;
      const guardedly: Execute = async (statement) => {
        const [result] = await Promise.allSettled([watch.execute(statement)]);
        if (result.status === "fulfilled") return result.value;
        const reason: unknown = result.reason;
        // There is no savepoint any more: on a full disk SQLite undoes the whole transaction by itself, and what came
        // after would commit alone. Or the one before could not be released: to undo would undo what is another's.
        const isUndo = statement.sql === savepoint.undo;
        if (reason instanceof Error && (isUndo || isOfFirst(reason))) undone ??= reason;
        if (isUndo && undone !== undefined) return { rows: [], changes: 0 };
        throw reason;
      };
      const kysely = new Kysely<Tables>({ dialect: sqliteDialect(guardedly, inSavepoint) });
      const guarded = (tx: Transaction<Tables>): Promise<T> => {
        straightWays.set(tx, guardedly);
        return Promise.race([work(tx), watch.strayed]);
      };
      [outcome] = await Promise.allSettled([kysely.transaction().execute(guarded)]);
      watch.end();
      const reason: unknown = outcome.status === "rejected" ? outcome.reason : undefined;
      return undone && (reason instanceof Error ? reason : undone);
    },
    settle(commit) {
      settleWith({ resolve, reject }, outcome, commit);
    },
  };
  return { promise, job };
}

interface Alone {
  readonly statement: Statement;
  readonly survives: Survives;
}

function makeAlone({ statement, survives }: Alone): { readonly promise: Promise<StatementResult>; readonly job: Job } {
  const { promise, resolve, reject } = Promise.withResolvers<StatementResult>();
  let outcome: PromiseSettledResult<StatementResult> | undefined;
  const job: Job = {
    survives,
    alone: statement,
    async run(execute) {
      [outcome] = await Promise.allSettled([execute(statement)]);
      if (outcome.status === "fulfilled") return undefined;
      const reason: unknown = outcome.reason;
      const isUndone = reason instanceof SqliteError && (reason.isOver || reason.isOfFirst || isSkipped(reason));
      return isUndone ? reason : undefined;
    },
    settle(commit) {
      settleWith({ resolve, reject }, outcome, commit);
    },
  };
  return { promise, job };
}

type Settling<T> = Pick<PromiseWithResolvers<T>, "resolve" | "reject">;

function settleWith<T>(
  { resolve, reject }: Settling<T>,
  outcome: PromiseSettledResult<T> | undefined,
  commit: PromiseSettledResult<void>,
): void {
  if (outcome?.status === "rejected" && !isSkipped(outcome.reason)) reject(outcome.reason);
  else if (commit.status === "rejected") reject(commit.reason);
  else if (outcome?.status === "fulfilled") resolve(outcome.value);
}

interface Watch {
  readonly execute: Execute;
  /** Rejects when the transaction awaits anything but its own queries: everyone else would wait with it. */
  readonly strayed: Promise<never>;
  readonly end: () => void;
}

function watchQueries(execute: Execute): Watch {
  const { promise: strayed, reject } = Promise.withResolvers<never>();
  strayed.catch(() => {});
  let pending = 0;
  let round = 0;
  let ended = false;
  const expectNext = (): void => {
    const now = ++round;
    // The next query is asked for within the same turn of the event loop, unless something else is awaited.
    setImmediate(() =>
      setImmediate(() => {
        if (ended || pending > 0 || round !== now) return;
        reject(new Error("a transaction awaited something that is not one of its own queries"));
      }),
    );
  };
  return {
    strayed,
    async execute(statement: Statement) {
      if (ended) throw new Error("a query came after its transaction had ended");
      pending++;
      round++;
      try {
        return await execute(statement);
      } finally {
        pending--;
        expectNext();
      }
    },
    end: () => {
      ended = true;
    },
  };
}
