import { setTimeout as sleep } from "node:timers/promises";
import { Kysely, type Transaction } from "kysely";
import type { Database, Survives, Tables, WriteOptions, Writer } from "../database.ts";
import { type Execute, type Statement, sqliteDialect, type TransactionControl } from "./sqlite-dialect.ts";
import { type LogTrust, watchLog } from "./log-trust.ts";
import { SqliteError } from "./writer-protocol.ts";

type Work<T> = (tx: Writer) => Promise<T>;

interface Job {
  readonly survives: Survives;
  /** Runs in a savepoint of the group's transaction; never rejects, and resolves to what took the whole group along. */
  readonly run: (execute: Execute) => Promise<Error | undefined>;
  readonly settle: (commit: PromiseSettledResult<void>) => void;
}

/** A group this large commits though more is waiting, so that the first in it does not wait for ever. */
const mostJobsInGroup = 100;
const busyLimitMs = 10_000;

/** How a process writes beside others; without turns it may write for ever, and who waits elsewhere would starve. */
export interface Turns {
  /** How long it writes without a pause. */
  readonly longestMs: number;
  /** The pause, in which one who waits elsewhere finds the database free. */
  readonly restMs: number;
  readonly busyRetryMs: number;
}

/** Others write now and then: commands of an operator. */
export const almostAlone: Turns = { longestMs: Infinity, restMs: 0, busyRetryMs: 20 };
/** Others write all the time. They look so often that none of them misses every pause. */
export const amongWriters: Turns = { longestMs: 25, restMs: 2, busyRetryMs: 1 };

const savepoint = { begin: "SAVEPOINT job", release: "RELEASE job", undo: "ROLLBACK TO job" } as const;
const inSavepoint: TransactionControl = {
  begin: savepoint.begin,
  commit: [savepoint.release],
  rollback: [savepoint.undo, savepoint.release],
};

/**
 * Concurrent writes share one BEGIN IMMEDIATE, one commit and so one fsync, each in a savepoint of its own: a failure
 * undoes its own changes only. Jobs run one after the other; the next group gathers while this one's fsync runs.
 *
 * A group of writes that need not survive a loss of power commits without one: the log is written and not synced, and
 * the next sync of the log covers all that stands before it.
 */
export function groupCommit(execute: Execute, turns = almostAlone): Database["write"] {
  const waiting: Job[] = [];
  const log = watchLog(execute);
  let running = false;
  const run = async (): Promise<void> => {
    running = true;
    for (let since = performance.now(); waiting.length > 0;) {
      await runGroup({ execute, log, turns }, waiting);
      if (performance.now() - since < turns.longestMs) continue;
      await sleep(turns.restMs);
      since = performance.now();
    }
    running = false;
  };
  return <T>(work: Work<T>, { survives }: WriteOptions = { survives: "power" }): Promise<T> => {
    const { promise, job } = makeJob({ work, survives });
    waiting.push(job);
    if (!running) void run();
    return promise;
  };
}

interface Connection {
  readonly execute: Execute;
  readonly log: LogTrust;
  readonly turns: Turns;
}

async function runGroup({ execute, log, turns }: Connection, waiting: Job[]): Promise<void> {
  const group: Job[] = [];
  const survives = waiting.slice(0, mostJobsInGroup).some((job) => job.survives === "power") ? "power" : "process";
  const done = async (): Promise<void> => {
    await log.require();
    await beginImmediate(execute, survives, turns);
    const inGroup = withSavepoints(execute);
    while (group.length < mostJobsInGroup) {
      const [job] = waiting;
      // What needs a sync is the next group's: this one can get none any more.
      if (job === undefined || (survives === "process" && job.survives === "power")) break;
      waiting.shift();
      group.push(job);
      const undone = await job.run(inGroup);
      if (undone !== undefined) throw undone;
    }
    await inGroup({ sql: "COMMIT", parameters: [] });
  };
  const [commit] = await Promise.allSettled([done()]);
  if (commit.status === "rejected") {
    log.noteFailure(commit.reason);
    // Nothing is known to be durable, so nothing is acknowledged; the connection is made ready for the next group.
    await Promise.allSettled([execute({ sql: "ROLLBACK", parameters: [] })]);
    if (group.length === 0) group.push(...waiting.splice(0, mostJobsInGroup));
  }
  for (const job of group) job.settle(commit);
}

/**
 * A savepoint's begin and its release have nothing to answer: they go to the thread with the statement that follows. A
 * write of one statement takes three ways there and back instead of five.
 */
function withSavepoints(execute: Execute): Execute {
  let first: string[] = [];
  return async (statement) => {
    if (statement.sql === savepoint.begin || statement.sql === savepoint.release) {
      first.push(statement.sql);
      return { rows: [], changes: 0 };
    }
    const given = first;
    first = [];
    return execute({ ...statement, first: given });
  };
}

/** Another process may be writing: waits for it without blocking this one's event loop. */
async function beginImmediate(execute: Execute, survives: Survives, { busyRetryMs }: Turns): Promise<void> {
  const synchronous = survives === "power" ? "FULL" : "NORMAL";
  const deadline = Date.now() + busyLimitMs;
  for (;;) {
    try {
      await execute({ sql: `PRAGMA synchronous = ${synchronous}; BEGIN IMMEDIATE`, parameters: [] });
      return;
    } catch (error) {
      const isBusy = error instanceof SqliteError && error.code.startsWith("SQLITE_BUSY");
      if (!isBusy || Date.now() > deadline) throw error;
      await sleep(busyRetryMs);
    }
  }
}

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
        if (reason instanceof SqliteError && (isUndo || reason.isOfFirst)) undone ??= reason;
        if (isUndo && undone !== undefined) return { rows: [], changes: 0 };
        throw reason;
      };
      const kysely = new Kysely<Tables>({ dialect: sqliteDialect(guardedly, inSavepoint) });
      const guarded = (tx: Transaction<Tables>): Promise<T> => Promise.race([work(tx), watch.strayed]);
      [outcome] = await Promise.allSettled([kysely.transaction().execute(guarded)]);
      watch.end();
      const reason: unknown = outcome.status === "rejected" ? outcome.reason : undefined;
      return undone && (reason instanceof Error ? reason : undone);
    },
    settle(commit) {
      if (outcome?.status === "rejected") reject(outcome.reason);
      else if (commit.status === "rejected") reject(commit.reason);
      else if (outcome !== undefined) resolve(outcome.value);
    },
  };
  return { promise, job };
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
