import {
  type CompiledQuery,
  type DatabaseConnection,
  type Dialect,
  type Driver,
  type QueryResult,
  SqliteAdapter,
  SqliteIntrospector,
  SqliteQueryCompiler,
} from "kysely";

/** What SQLite answers to one statement. */
export interface StatementResult {
  readonly rows: readonly unknown[];
  readonly changes: number;
}

export interface Statement {
  readonly sql: string;
  readonly parameters: readonly unknown[];
}

export type Execute = (statement: Statement) => StatementResult;

/** Kysely's connection: what it is asked for, `execute` has done before it answers. */
export const sqliteConnection = (execute: Execute): DatabaseConnection => ({
  async executeQuery<R>({ sql, parameters }: CompiledQuery): Promise<QueryResult<R>> {
    const { rows, changes } = execute({ sql, parameters });
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the row type is Kysely's promise to its caller
    return { rows: rows as R[], numAffectedRows: BigInt(changes) };
  },
  // oxlint-disable-next-line require-yield -- Kysely wants a generator even of a driver that has no streams
  async *streamQuery() {
    throw new Error("SQLite connections do not stream; page by key instead");
  },
});

/**
 * Writes a parameter as `+?`, which is the same value. Of a join SQLite looks at the values of parameters while it plans,
 * and so compiles it anew whenever they are bound: 10 to 25 µs for a query that takes two.
 */
export class PlanOnceCompiler extends SqliteQueryCompiler {
  protected override getCurrentParameterPlaceholder(): string {
    return "+?";
  }
}

/** Kysely on one SQLite connection, without transactions. */
export function sqliteDialect(execute: Execute): Dialect {
  return {
    createAdapter: () => new SqliteAdapter(),
    createDriver: () => createDriver(sqliteConnection(execute)),
    createIntrospector: (database) => new SqliteIntrospector(database),
    createQueryCompiler: () => new PlanOnceCompiler(),
  };
}

const noTransactions = async (): Promise<never> => {
  throw new Error("transactions go through Database.write");
};

const createDriver = (connection: DatabaseConnection): Driver => ({
  init: async () => {},
  acquireConnection: async () => connection,
  beginTransaction: noTransactions,
  commitTransaction: noTransactions,
  rollbackTransaction: noTransactions,
  releaseConnection: async () => {},
  destroy: async () => {},
});
