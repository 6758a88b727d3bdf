import type { Kysely, Transaction } from "kysely";

/** Every table of the product; the folder that owns a table adds it here by declaration merging. */
// oxlint-disable-next-line typescript/no-empty-interface
export interface Tables {}

export type Dialect = "sqlite" | "postgres";
export type Reader = Kysely<Tables>;
export type Writer = Transaction<Tables>;

export interface Database {
  readonly dialect: Dialect;
  /** Sees every committed change and never waits for a writer. */
  readonly read: Reader;
  /**
   * Runs `work` in one transaction and resolves once it is durable. `work` awaits nothing but its own queries, and may
   * run again after a conflict with another writer, so it changes nothing but the database.
   */
  write<T>(work: (tx: Writer) => Promise<T>): Promise<T>;
  close(): Promise<void>;
}
