import type { Brand } from "../../oci/brand.ts";
import { clock } from "../database/clock.ts";
import type { Database, Writer } from "../database/database.ts";
import { prepared, within } from "../database/prepared.ts";
import { inChunks } from "../database/in-chunks.ts";
import type { AccessEvent, Envelope } from "./access-event.ts";
import type { RegistryEvent } from "./registry-event.ts";

/** A transaction that records events: only `writeEvents` makes one. */
export type RecordingWriter = Brand<Writer, "RecordingWriter">;

/** All that is written down with a change. */
export type AnyEvent = RegistryEvent | AccessEvent;

const recorded = new WeakMap<Writer, AnyEvent[]>();

/**
 * Runs a transaction and appends what it recorded as its last statement: a change and its events are there together or
 * not at all, and of two transactions of which one has waited for the other, that one's events have the later ids.
 */
export function writeEvents<T>(
  database: Database,
  work: (tx: RecordingWriter) => Promise<T>,
  envelope: Envelope,
): Promise<T> {
  return database.write(async (tx) => {
    const events: AnyEvent[] = [];
    recorded.set(tx, events);
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- it has its list from here on
    const result = await work(tx as RecordingWriter);
    for (const some of inChunks(events)) {
      await append(within(tx, database), { events: JSON.stringify(some), envelope: JSON.stringify(envelope) });
    }
    return result;
  });
}

const append = prepared(
  (write, { events, envelope }: { readonly events: string; readonly envelope: string }, dialect) =>
    write.insertInto("event_outbox").values({ position: null, recorded_at: clock(dialect), events, envelope }),
);

/** In an order of which every beginning makes sense: whoever applies the events may stop after any of them. */
export function recordEvents(tx: RecordingWriter, ...events: readonly AnyEvent[]): void {
  recorded.get(tx)?.push(...events);
}
