import type { CompiledQuery, Kysely, Transaction } from "kysely";

/** Every table of the product; the folder that owns a table adds it here by declaration merging. */
// oxlint-disable-next-line typescript/no-empty-interface
export interface Tables {}

export type Dialect = "sqlite" | "postgres";
export type Reader = Kysely<Tables>;
export type Writer = Transaction<Tables>;

/**
 * What a write has to outlive before it is acknowledged: a loss of power, or the end of this process alone. The latter
 * costs no sync; what is lost of such writes are the last ones, and never one that a later durable write stands on.
 */
export type Survives = "power" | "process";

export interface WriteOptions {
  readonly survives: Survives;
}

export interface Database {
  readonly dialect: Dialect;
  /** Sees every committed change and never waits for a writer. */
  readonly read: Reader;
  /** The same for a query that was compiled before (`prepared`). */
  readonly all: <R>(query: CompiledQuery<R>) => Promise<readonly R[]>;
  /**
   * Not the same after any commit, of whichever process: what was read under a number is still so while it is the number.
   * Absent where to ask is no cheaper than to read again.
   */
  readonly revision?: () => number;
  /**
   * Runs `work` in one transaction and resolves once it is durable, as far as `survives` wants it: power, unless the
   * caller can do with less. `work` awaits nothing but its own queries, and may run again after a conflict with another writer,
   * so it changes nothing but the database.
   */
  write<T>(work: (tx: Writer) => Promise<T>, options?: WriteOptions): Promise<T>;
  /** The same for a compiled query that is a transaction by itself: on SQLite one statement in place of three (`alone`). */
  writeOne<R>(query: CompiledQuery<R>, options?: WriteOptions): Promise<readonly R[]>;
  close(): Promise<void>;
}
