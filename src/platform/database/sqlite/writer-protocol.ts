/**
 * What the event loop asks of the writer's thread, and what comes back: one answer an order, in order. Orders of one turn
 * are one message, as are their answers: there and back is 130 us of the processors' time, and a statement takes five.
 */
export interface Order {
  readonly id: number;
  readonly sql: string;
  readonly parameters: readonly unknown[];
  readonly first: readonly string[];
}

export type Answer =
  | { readonly id: number; readonly rows: readonly unknown[]; readonly changes: number }
  | ({ readonly id: number; readonly message: string } & Failure);

export interface Failure {
  readonly code: string;
  /** Whether it is that of a statement which had to run before the one that was asked for. */
  readonly isOfFirst: boolean;
  /** Whether the transaction that it ran in is undone as a whole. */
  readonly isOver: boolean;
}

/** Of an order that was not run, since one before it in the same message failed. */
export const skipped = "SKIPPED";

/**
 * A commit is not synced by SQLite, which would keep the database locked meanwhile, but by `watchLog`. The thread may
 * wait for another process; the event loop does not.
 * Whoever opens a new database first makes it one with a WAL, which takes longer than any later wait.
 */
export const writerPragmas = [
  "PRAGMA busy_timeout = 10000",
  "PRAGMA journal_mode = WAL",
  "PRAGMA synchronous = NORMAL",
  "PRAGMA foreign_keys = ON",
  "PRAGMA busy_timeout = 200",
  "PRAGMA temp_store = MEMORY",
] as const;

/** An error of SQLite with its code, such as SQLITE_CONSTRAINT_UNIQUE. */
export class SqliteError extends Error {
  override readonly name = "SqliteError";
  readonly code: string;
  readonly isOfFirst: boolean;
  readonly isOver: boolean;
  constructor(message: string, { code, isOfFirst = false, isOver = false }: Partial<Failure> & Pick<Failure, "code">) {
    super(message);
    this.code = code;
    this.isOfFirst = isOfFirst;
    this.isOver = isOver;
  }
}
