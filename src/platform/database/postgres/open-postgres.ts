import { Kysely, PostgresDialect } from "kysely";
import { Pool, types } from "pg";
import type { Database, Tables, Writer } from "../database.ts";

const connectionsPerProcess = 10;
const acquireTimeoutMs = 5_000;
const mostTries = 10;

/** Text of an int8 as a number. @throws Error at 2^53 and above, where a number would round */
function parseInt8(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value)) throw new Error(`${text} from the database is not a safe whole number`);
  return value;
}

types.setTypeParser(types.builtins.INT8, parseInt8);

/** Opens a pool on `postgres://...`; the connections are made when they are needed. */
export function openPostgres(url: string): Database {
  const pool = new Pool({
    connectionString: url,
    max: connectionsPerProcess,
    connectionTimeoutMillis: acquireTimeoutMs,
  });
  // Without a listener a connection that the server ends takes the process with it; the next query says what is wrong.
  pool.on("error", () => {});
  pool.on("connect", (client) => client.on("error", () => {}));
  const kysely = new Kysely<Tables>({ dialect: new PostgresDialect({ pool }) });
  return {
    dialect: "postgres",
    read: kysely,
    write: (work) => writeWithRetry(kysely, work),
    close: () => kysely.destroy(),
  };
}

/** Two transactions that could not both go on: the one that PostgreSQL gave up runs again. */
const isConflict = (error: unknown): boolean =>
  error instanceof Error && "code" in error && (error.code === "40001" || error.code === "40P01");

async function writeWithRetry<T>(kysely: Kysely<Tables>, work: (tx: Writer) => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await kysely.transaction().execute(work);
    } catch (error) {
      if (!isConflict(error) || tries === mostTries) throw error;
      await new Promise((resolve) => setTimeout(resolve, Math.random() * 10 * tries));
    }
  }
}
