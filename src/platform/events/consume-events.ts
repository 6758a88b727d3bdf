import { sql } from "kysely";
import { clock } from "../database/clock.ts";
import type { Database, Reader, Writer } from "../database/database.ts";
import { prepared } from "../database/prepared.ts";
import { lastPosition, positionColumn } from "./positions.ts";
import type { Envelope } from "./access-event.ts";
import type { AnyEvent } from "./record-events.ts";

/** The events of one transaction, or a part of them where they are very many. */
export interface Change {
  readonly position: number;
  readonly at: number;
  readonly events: readonly AnyEvent[];
  readonly envelope: Envelope | undefined;
}

/** What comes after a position, in order; call `sequenceEvents` first. Fewer than asked for is all there is by now. */
export async function readChanges(
  { read, dialect }: Database,
  { after, limit }: { readonly after: number; readonly limit: number },
): Promise<readonly Change[]> {
  const position = positionColumn(dialect);
  const rows = await read
    .selectFrom("event_outbox")
    .select([`${position} as at_position`, "recorded_at", "events", "envelope"])
    .where(position, ">", after)
    .orderBy(position)
    .limit(limit)
    .execute();
  return rows.map((row) => ({
    position: row.at_position ?? 0,
    at: row.recorded_at,
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- as writeEvents wrote it
    events: JSON.parse(row.events) as AnyEvent[],
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- likewise
    envelope: row.envelope === null ? undefined : (JSON.parse(row.envelope) as Envelope),
  }));
}

/** Where a consumer stands; `undefined` before its first `placeConsumer`. */
export async function consumerPosition(reader: Reader | Writer, name: string): Promise<number | undefined> {
  const row = await reader.selectFrom("event_consumers").select("position").where("name", "=", name).executeTakeFirst();
  return row?.position;
}

/** Has a consumer begin behind everything that has a position by now. @returns that position */
export async function placeConsumer(tx: Writer, { dialect }: Database, name: string): Promise<number> {
  const position = await lastPosition(tx, dialect);
  await tx
    .insertInto("event_consumers")
    .values({ name, position })
    .onConflict((conflict) => conflict.column("name").doUpdateSet({ position }))
    .execute();
  return position;
}

/** Forgets a consumer, which begins anew at its next `placeConsumer`. */
export async function dropConsumer(tx: Writer, name: string): Promise<void> {
  await tx.deleteFrom("event_consumers").where("name", "=", name).execute();
}

/**
 * Moves a consumer on, if nobody else has, and removes what every consumer has read.
 * @returns whether it was moved
 */
export async function advanceConsumer(
  tx: Writer,
  database: Database,
  { name, from, to }: { readonly name: string; readonly from: number; readonly to: number },
): Promise<boolean> {
  const moved = await tx
    .updateTable("event_consumers")
    .set({ position: to })
    .where("name", "=", name)
    .where("position", "=", from)
    .returning("name")
    .execute();
  if (moved.length === 0) return false;
  const position = positionColumn(database.dialect);
  await tx
    .deleteFrom("event_outbox")
    .where(position, "in", (expression) =>
      expression
        .selectFrom("event_outbox as old")
        .select(`old.${position}`)
        .where(`old.${position}`, "<=", (inner) =>
          inner.selectFrom("event_consumers").select(({ fn }) => fn.min("position").as("read")),
        )
        .orderBy(`old.${position}`)
        .limit(mostRemovedAtOnce),
    )
    .execute();
  return true;
}

/** More than a consumer reads at once: where very many are left, it takes a few steps, and nobody waits long for one. */
const mostRemovedAtOnce = 1000;

export interface Backlog {
  readonly changes: number;
  /** How long the oldest of them has waited. */
  readonly oldestMs: number;
}

/** Whether a consumer has something to read, or no place yet. An idle server asks this again and again. */
export async function hasUnread(database: Database, name: string): Promise<boolean> {
  const [place] = await placeOf(database, { name });
  if (place === undefined) return true;
  const unread = await unreadBehind(database, { place: place.position });
  return unread.length > 0;
}

const placeOf = prepared((read, { name }: { readonly name: string }) =>
  read.selectFrom("event_consumers").select("position").where("name", "=", name),
);

const unreadBehind = prepared((read, { place }: { readonly place: number }, dialect) => {
  const position = positionColumn(dialect);
  return read
    .selectFrom("event_outbox")
    .select("id")
    .where((expression) => expression.or([expression(position, ">", place), expression(position, "is", null)]))
    .limit(1);
});

/** What a consumer has not read yet. */
export async function consumerBacklog({ read, dialect }: Database, name: string): Promise<Backlog> {
  const position = positionColumn(dialect);
  const after = (await consumerPosition(read, name)) ?? 0;
  const unread = read
    .selectFrom("event_outbox")
    // One that has no position yet is read by nobody.
    .where((expression) => expression.or([expression(position, ">", after), expression(position, "is", null)]));
  const { count } = await unread.select(({ fn }) => fn.countAll<number>().as("count")).executeTakeFirstOrThrow();
  const oldest = await unread
    .select(sql<number>`${clock(dialect)} - recorded_at`.as("age"))
    .orderBy("id")
    .limit(1)
    .executeTakeFirst();
  return { changes: count, oldestMs: Math.max(0, oldest?.age ?? 0) };
}

/**
 * Keeps the newest changes alone, whether they were read or not: a consumer that stands still must not fill the disk. It
 * finds a gap behind its position, and has to begin anew from the tables.
 */
export async function boundEvents(database: Database, mostChanges: number): Promise<void> {
  const { read, dialect } = database;
  const position = positionColumn(dialect);
  const oldest = await read
    .selectFrom("event_outbox")
    .select(({ fn }) => fn.min<number | null>(position).as("position"))
    .executeTakeFirst();
  const keep = (await lastPosition(read, dialect)) - mostChanges;
  if (typeof oldest?.position !== "number") return;
  for (let from = oldest.position; from <= keep; from += mostRemovedAtOnce) {
    const to = Math.min(keep, from + mostRemovedAtOnce - 1);
    await database.write((tx) => tx.deleteFrom("event_outbox").where(position, "<=", to).execute());
  }
}
