import type { Brand } from "../../oci/brand.ts";
import { clock } from "../database/clock.ts";
import type { Database, Writer } from "../database/database.ts";
import { prepared, within } from "../database/prepared.ts";
import { inChunks } from "../database/in-chunks.ts";
import type { RecordedEvent } from "./registry-event.ts";

/** A transaction that records events: only `writeEvents` makes one. */
export type RecordingWriter = Brand<Writer, "RecordingWriter">;

const recorded = new WeakMap<Writer, RecordedEvent[]>();

/**
 * Runs a transaction and appends what it recorded as its last statement: a change and its events are there together or
 * not at all, and of two transactions of which one has waited for the other, that one's events have the later ids.
 */
export function writeEvents<T>(database: Database, work: (tx: RecordingWriter) => Promise<T>): Promise<T> {
  return database.write(async (tx) => {
    const events: RecordedEvent[] = [];
    recorded.set(tx, events);
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- it has its list from here on
    const result = await work(tx as RecordingWriter);
    for (const some of inChunks(events)) {
      await append(within(tx, database), { events: JSON.stringify(some) });
    }
    return result;
  });
}

const append = prepared((write, { events }: { readonly events: string }, dialect) =>
  write.insertInto("event_outbox").values({ position: null, recorded_at: clock(dialect), events }),
);

/** In an order of which every beginning makes sense: whoever applies the events may stop after any of them. */
export function recordEvents(tx: RecordingWriter, ...events: readonly RecordedEvent[]): void {
  recorded.get(tx)?.push(...events);
}
