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
  /** Run before it, on the same way there and back; where one of them fails, it is not run. */
  readonly first?: readonly string[];
}

export type Execute = (statement: Statement) => Promise<StatementResult>;

/** How a transaction begins and ends on this connection; reads have none. */
export interface TransactionControl {
  readonly begin: string;
  readonly commit: readonly string[];
  readonly rollback: readonly string[];
}

/** Kysely on one SQLite connection, wherever that connection lives: `execute` runs a statement on it. */
export function sqliteDialect(execute: Execute, control?: TransactionControl): Dialect {
  return {
    createAdapter: () => new SqliteAdapter(),
    createDriver: () => createDriver(execute, control),
    createIntrospector: (database) => new SqliteIntrospector(database),
    createQueryCompiler: () => new SqliteQueryCompiler(),
  };
}

function createDriver(execute: Execute, control: TransactionControl | undefined): Driver {
  const connection: DatabaseConnection = {
    async executeQuery<R>({ sql, parameters }: CompiledQuery): Promise<QueryResult<R>> {
      const { rows, changes } = await execute({ sql, parameters });
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the row type is Kysely's promise to its caller
      return { rows: rows as R[], numAffectedRows: BigInt(changes) };
    },
    // oxlint-disable-next-line require-yield -- Kysely wants a generator even of a driver that has no streams
    async *streamQuery() {
      throw new Error("SQLite connections do not stream; page by key instead");
    },
  };
  const runAll = async (statements: readonly string[] | undefined): Promise<void> => {
    if (statements === undefined) throw new Error("transactions go through Database.write");
    for (const sql of statements) await execute({ sql, parameters: [] });
  };
  return {
    init: async () => {},
    acquireConnection: async () => connection,
    beginTransaction: async () => runAll(control && [control.begin]),
    commitTransaction: async () => runAll(control?.commit),
    rollbackTransaction: async () => runAll(control?.rollback),
    releaseConnection: async () => {},
    destroy: async () => {},
  };
}
