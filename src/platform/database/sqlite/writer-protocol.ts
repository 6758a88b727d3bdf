/** What the event loop asks of the writer's thread, and what comes back; one answer an order, in order. */
export interface Order {
  readonly id: number;
  readonly sql: string;
  readonly parameters: readonly unknown[];
  readonly first: readonly string[];
}

export type Answer =
  | { readonly id: number; readonly rows: readonly unknown[]; readonly changes: number }
  | { readonly id: number; readonly message: string; readonly code: string; readonly isOfFirst: boolean };

/**
 * Synchronous is FULL while the schema is made, and each transaction says it again for itself. The thread may wait for another process; the event loop does not.
 * Whoever opens a new database first makes it one with a WAL, which takes longer than any later wait.
 */
export const writerPragmas = [
  "PRAGMA busy_timeout = 10000",
  "PRAGMA journal_mode = WAL",
  "PRAGMA synchronous = FULL",
  "PRAGMA foreign_keys = ON",
  "PRAGMA busy_timeout = 200",
  "PRAGMA temp_store = MEMORY",
] as const;

/** An error of SQLite with its code, such as SQLITE_CONSTRAINT_UNIQUE. */
export class SqliteError extends Error {
  override readonly name = "SqliteError";
  readonly code: string;
  /** Whether it is that of a statement which had to run before the one that was asked for. */
  readonly isOfFirst: boolean;
  constructor(message: string, code: string, isOfFirst = false) {
    super(message);
    this.code = code;
    this.isOfFirst = isOfFirst;
  }
}
