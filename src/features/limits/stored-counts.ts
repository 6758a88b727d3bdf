import { type RawBuilder, sql } from "kysely";
import { clock } from "../../platform/database/clock.ts";
import type { Database, Dialect, Writer } from "../../platform/database/database.ts";
import { inChunks } from "../../platform/database/in-chunks.ts";
import type { PullCountRow } from "./tables.ts";

/** What the database has of one source. */
export interface StoredCount {
  readonly pulls: number;
  /** Until its window ends. */
  readonly restMs: number;
}

type Counted = Pick<PullCountRow, "source" | "pulls">;
type Stored = readonly [source: string, count: StoredCount];

/**
 * Adds pulls to what is there, or begins a window where the last one is over. A window that begins in the future, as the
 * clock was set back, is over too.
 */
export async function addPulls(
  database: Database,
  added: readonly Counted[],
  windowMs: number,
): Promise<readonly Stored[]> {
  if (added.length === 0) return [];
  // In this order everywhere, so that nobody waits for somebody who waits for them.
  const inOrder = added.toSorted((one, other) => (one.source < other.source ? -1 : 1));
  const write = async (tx: Writer) => {
    const stored: Stored[] = [];
    for (const some of inChunks(inOrder)) {
      const rows = await upsert(tx, database.dialect, { some, windowMs }).execute();
      stored.push(...rows.map(toStored));
    }
    return stored;
  };
  // What a loss of power takes are the pulls of the last seconds.
  return database.write(write, { survives: "process" });
}

interface Upsert {
  readonly some: readonly Counted[];
  readonly windowMs: number;
}

function upsert(tx: Writer, dialect: Dialect, { some, windowMs }: Upsert) {
  const now = clock(dialect);
  const isRunning = sql<boolean>`excluded.started_at between pull_counts.started_at and pull_counts.started_at + ${windowMs} - 1`;
  return tx
    .insertInto("pull_counts")
    .values(some.map(({ source, pulls }) => ({ source, pulls, started_at: now })))
    .onConflict((conflict) =>
      conflict.column("source").doUpdateSet({
        pulls: sql<number>`case when ${isRunning} then pull_counts.pulls + excluded.pulls else excluded.pulls end`,
        started_at: sql<number>`case when ${isRunning} then pull_counts.started_at else excluded.started_at end`,
      }),
    )
    .returning(["source", "pulls", restOf(now, windowMs).as("rest_ms")]);
}

const toStored = ({ source, pulls, rest_ms }: Counted & { readonly rest_ms: number }): Stored => [
  source,
  { pulls, restMs: rest_ms },
];

const restOf = (now: RawBuilder<number>, windowMs: number): RawBuilder<number> =>
  sql<number>`started_at + ${windowMs} - ${now}`;

/** Those of which the window is not over. */
export async function readPulls(
  { read, dialect }: Database,
  sources: readonly string[],
  windowMs: number,
): Promise<readonly Stored[]> {
  const stored: Stored[] = [];
  const now = clock(dialect);
  for (const some of inChunks(sources)) {
    const rows = await read
      .selectFrom("pull_counts")
      .select(["source", "pulls", restOf(now, windowMs).as("rest_ms")])
      .where("source", "in", some)
      .where(sql<boolean>`${now} between started_at and started_at + ${windowMs} - 1`)
      .execute();
    stored.push(...rows.map(toStored));
  }
  return stored;
}

const sweptAtOnce = 500;

/** Windows that are over. The clock is asked once a statement: PostgreSQL would look nothing up in an index else. */
const ended = (database: Pick<Database, "read" | "dialect">, windowMs: number) =>
  database.read
    .selectFrom("pull_counts")
    .select("source")
    .where("started_at", "<=", sql<number>`(select ${clock(database.dialect)}) - ${windowMs}`);

export const hasEndedWindows = async (database: Database, windowMs: number): Promise<boolean> =>
  (await ended(database, windowMs).limit(1).execute()).length > 0;

/** Removes windows that are over, a few at once. @returns how many */
export async function sweepPulls(database: Database, windowMs: number, signal?: AbortSignal): Promise<number> {
  for (let swept = 0; ;) {
    const sources = (await ended(database, windowMs).limit(sweptAtOnce).execute()).map(({ source }) => source);
    if (sources.length === 0 || signal?.aborted === true) return swept;
    // Whoever has come back meanwhile has begun another one.
    const isOver = sql<boolean>`started_at <= ${clock(database.dialect)} - ${windowMs}`;
    await database.write(
      (tx) => tx.deleteFrom("pull_counts").where("source", "in", sources.toSorted()).where(isOver).execute(),
      { survives: "process" },
    );
    swept += sources.length;
  }
}
