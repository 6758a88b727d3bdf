import { type RawBuilder, sql } from "kysely";
import type { Database, Dialect, Reader, Writer } from "../database/database.ts";

/**
 * The column that tells an event's place in the one order in which all consumers see the events. SQLite has one writer,
 * so ids become visible in their order; PostgreSQL gives out ids before the commit, and positions only after it.
 */
export const positionColumn = (dialect: Dialect): "id" | "position" => (dialect === "sqlite" ? "id" : "position");

const sequencerLock = 7_021_155_320;
const mostAtOnce = 1000;

/**
 * Gives every change that is committed by now its position; whoever reads positions misses none and sees none before
 * one that it depends on. One sequencer works at a time, in whichever process, and its lock ends with its transaction.
 */
export async function sequenceEvents(database: Database): Promise<void> {
  if (database.dialect === "sqlite") return;
  for (;;) {
    const unsequenced = await database.read
      .selectFrom("event_outbox")
      .select("id")
      .where("position", "is", null)
      .limit(1)
      .executeTakeFirst();
    if (unsequenced === undefined) return;
    await database.write(sequenceSome);
  }
}

async function sequenceSome(tx: Writer): Promise<void> {
  await sql`select pg_advisory_xact_lock(${sequencerLock})`.execute(tx);
  // A statement of its own: it sees what was committed while the lock was waited for.
  const last = await lastPosition(tx, "postgres");
  await sql`
    update event_outbox set position = ${last} + numbered.place
    from (
      select id, row_number() over (order by id) as place from event_outbox where position is null
      order by id limit ${sql.lit(mostAtOnce)}
    ) as numbered
    where event_outbox.id = numbered.id`.execute(tx);
}

/** The position of the newest change that has one; also where it was read by all and is gone. 0 before the first. */
export async function lastPosition(reader: Reader | Writer, dialect: Dialect): Promise<number> {
  const outbox: RawBuilder<unknown> = sql.ref(positionColumn(dialect));
  const { rows } = await sql<{ last: number }>`
    select coalesce(max(position), 0) as last from (
      select max(${outbox}) as position from event_outbox
      union all
      select max(position) as position from event_consumers
    ) as positions`.execute(reader);
  return rows[0]?.last ?? 0;
}
