import type { Database, Statement as BunStatement } from "bun:sqlite";
import { LRUCache } from "lru-cache";
import type { Statement, StatementResult } from "./sqlite-dialect.ts";

/** More than the program has; short lists of parameters come in a few lengths. */
const mostKept = 500;
/**
 * A longer list is hardly ever as long as another. The collector's insert of 200 rows takes 130 KB: kept for the next of
 * its length, it and its like had 17 MB more after 130 passes. To compile one again takes 0.1 to 0.4 ms.
 */
const mostParametersKept = 32;

interface Compiled {
  readonly statement: BunStatement<unknown, never[]>;
  readonly answers: boolean;
}

export interface Statements {
  run(statement: Statement): StatementResult;
  /** Before the connection is closed, which stays open as long as it has any. */
  finalize(): void;
}

/**
 * Runs statements, each compiled once. Bun's own `query` keeps the first twenty of a connection for ever and compiles
 * every other each time: 66 us for a small update that takes five.
 */
export function statementsOf(database: Database): Statements {
  const compiled = new LRUCache<string, Compiled>({
    max: mostKept,
    dispose: ({ statement }) => statement.finalize(),
  });
  const compile = (sql: string): Compiled => {
    const statement = database.prepare<unknown, never[]>(sql);
    return { statement, answers: statement.columnNames.length > 0 };
  };
  return {
    run({ sql, parameters }) {
      if (parameters.length > mostParametersKept) {
        const once = compile(sql);
        try {
          return run(once, parameters);
        } finally {
          once.statement.finalize();
        }
      }
      let found = compiled.get(sql);
      if (found === undefined) compiled.set(sql, (found = compile(sql)));
      return run(found, parameters);
    },
    finalize: () => compiled.clear(),
  };
}

function run({ statement, answers }: Compiled, parameters: Statement["parameters"]): StatementResult {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- Kysely's values are what bun:sqlite binds
  const bound = parameters as never[];
  if (answers) return { rows: statement.all(...bound), changes: 0 };
  return { rows: [], changes: statement.run(...bound).changes };
}
