import { Kysely, PostgresDialect, sql } from "kysely";
import { Pool, types } from "pg";
import type { Database, Survives, Tables, Writer } from "../database.ts";
import { askInOrder } from "./ask-in-order.ts";

const connectionsPerProcess = 10;
/** Who gets no connection for so long is told to come again. */
const acquireTimeoutMs = 5_000;
/** No statement of a request takes so long, unless it waits for a lock of somebody who does not go on. */
const statementTimeoutMs = 30_000;
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
    keepAlive: true,
    statement_timeout: statementTimeoutMs,
    // Locks of a process that stands still in the middle of a transaction are let go.
    idle_in_transaction_session_timeout: 2 * statementTimeoutMs,
  });
  // Without a listener a connection that the server ends takes the process with it; the next query says what is wrong.
  pool.on("error", () => {});
  pool.on("connect", (client) => client.on("error", () => {}));
  const kysely = new Kysely<Tables>({ dialect: new PostgresDialect({ pool }) });
  const write: Database["write"] = (work, options) =>
    writeWithRetry(kysely, withSurvival(work, options?.survives ?? "power"));
  return {
    dialect: "postgres",
    read: kysely,
    all: async (query) => (await kysely.executeQuery(query)).rows,
    write,
    writeOne: (query, options) => write(async (tx) => (await tx.executeQuery(query)).rows, options),
    close: () => kysely.destroy(),
  };
}

type Work<T> = (tx: Writer) => Promise<T>;

/** What need not survive the database server's own end does not wait for its disk; what does, as the server is set. */
const withSurvival = <T>(work: Work<T>, survives: Survives): Work<T> =>
  survives === "power"
    ? work
    : async (tx) => {
        await sql`set local synchronous_commit = off`.execute(tx);
        return work(tx);
      };

/** Two transactions that could not both go on: the one that PostgreSQL gave up runs again. */
const isConflict = (error: unknown): boolean =>
  error instanceof Error && "code" in error && (error.code === "40001" || error.code === "40P01");

async function writeWithRetry<T>(kysely: Kysely<Tables>, work: Work<T>): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await kysely.transaction().execute((tx) => askInOrder(tx, work));
    } catch (error) {
      if (!isConflict(error) || tries === mostTries) throw error;
      await new Promise((resolve) => setTimeout(resolve, Math.random() * 10 * tries));
    }
  }
}
