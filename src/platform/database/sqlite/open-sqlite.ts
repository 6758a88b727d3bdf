import { Database as BunSqlite } from "bun:sqlite";
import { type FileHandle, open } from "node:fs/promises";
import { Kysely } from "kysely";
import { openLibc } from "../../runtime/libc.ts";
import type { Database, Tables } from "../database.ts";
import { checkpointer } from "./checkpointer.ts";
import { watchLog } from "./log-trust.ts";
import { revisionOf } from "./revision.ts";
import { type Execute, type Statement, sqliteDialect } from "./sqlite-dialect.ts";
import { type Statements, statementsOf } from "./statements.ts";
import { isBusy, transactionsOf } from "./transactions.ts";

/**
 * A commit is not synced by SQLite, which would keep the database locked meanwhile and the event loop waiting, but by
 * `watchLog`; nor does it move what is in the log to the database file, which is the work of `checkpointer`.
 * Whoever opens a new database first makes it one with a WAL, which takes longer than any later wait.
 */
const writerPragmas = [
  "PRAGMA busy_timeout = 10000",
  "PRAGMA journal_mode = WAL",
  "PRAGMA synchronous = NORMAL",
  "PRAGMA wal_autocheckpoint = 0",
  "PRAGMA foreign_keys = ON",
  "PRAGMA temp_store = MEMORY",
  "PRAGMA busy_timeout = 0",
] as const;

/** Opens or creates the database file: a connection that writes, and a read-only one. */
export async function openSqlite(path: string): Promise<Database> {
  const writer = new BunSqlite(path, { create: true, readwrite: true });
  for (const pragma of writerPragmas) writer.run(pragma);
  const reader = new BunSqlite(path, { readonly: true });
  reader.run("PRAGMA busy_timeout = 200");
  const [statements, writing] = [statementsOf(reader), statementsOf(writer)];
  const checkpoints = checkpointer(path);
  const file = openLog(`${path}-wal`);
  const log = watchLog({ sync: file.sync, empty: checkpoints.empty });
  const lengthOfLog = watchLength(writing, () => checkpoints.shorten().catch(log.noteFailure));
  const revision = revisionOf(reader, path);
  const read = readerOver({ writer, writing, reading: statements });
  return {
    dialect: "sqlite",
    read: new Kysely<Tables>({ dialect: sqliteDialect(statements.run) }),
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the row type is Kysely's promise to its caller
    all: async <R>(statement: Statement) => read(statement).rows as readonly R[],
    revision: revision.read,
    ...transactionsOf({
      database: writer,
      statements: writing,
      log,
      onCommit: lengthOfLog.noteCommit,
      giveWay: () => openLibc()?.sched_yield(),
    }),
    async close() {
      // The last connection that is closed moves what is in the log: here the event loop would have to wait for the disk.
      if (lengthOfLog.hasGrown()) await checkpoints.empty().catch(() => undefined);
      await checkpoints.close();
      revision.close();
      for (const one of [statements, writing]) one.finalize();
      for (const one of [reader, writer]) one.close();
      await file.close();
    },
  };
}

interface Connections {
  readonly writer: Pick<BunSqlite, "inTransaction">;
  readonly writing: Statements;
  readonly reading: Statements;
}

/**
 * A commit empties the page cache of every connection but its own: beside pushes a keyed select takes 25 µs on the
 * connection that reads, and 10 on the one that writes. What is not committed yet is nobody's to see, and where another
 * process repairs the log, the connection that reads is the one that waits.
 */
const readerOver =
  ({ writer, writing, reading }: Connections): Execute =>
  (statement) => {
    // What does not read would be written past every check.
    if (writer.inTransaction || !statement.sql.startsWith("select ")) return reading.run(statement);
    try {
      return writing.run(statement);
    } catch (error) {
      if (!isBusy(error)) throw error;
      return reading.run(statement);
    }
  };

const commitsBetweenLooks = 50;
/** 8 MiB. */
const wantedLogPages = 2000;

/** Has the log shortened where it has become long, which nobody but SQLite can tell. */
function watchLength(statements: Statements, shorten: () => Promise<void>) {
  const look = { sql: "PRAGMA wal_checkpoint(NOOP)", parameters: [] };
  let commits = 0;
  let isShortening = false;
  return {
    noteCommit(): void {
      commits += 1;
      if (isShortening || commits % commitsBetweenLooks !== 0) return;
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the one row of this pragma
      const [found] = statements.run(look).rows as readonly { readonly log: number; readonly checkpointed: number }[];
      if (found === undefined || found.log - found.checkpointed <= wantedLogPages) return;
      isShortening = true;
      void shorten().then(() => (isShortening = false));
    },
    hasGrown: () => commits > 0,
  };
}

/** SQLite makes the file with the first commit, and no locks of its own are on it that closing it would give back. */
function openLog(path: string): { readonly sync: () => Promise<void>; readonly close: () => Promise<void> } {
  let file: FileHandle | undefined;
  return {
    async sync() {
      file ??= await open(path, "r");
      await file.datasync();
    },
    close: async () => file?.close(),
  };
}
