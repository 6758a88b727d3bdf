import { isDeepStrictEqual } from "node:util";
import { inChunks } from "../../platform/database/in-chunks.ts";
import { isAmong } from "../../platform/database/json-lists.ts";
import { prepared } from "../../platform/database/prepared.ts";
import {
  advanceConsumer,
  boundEvents,
  consumerPosition,
  hasUnread,
  readChanges,
} from "../../platform/events/consume-events.ts";
import { sequenceEvents } from "../../platform/events/positions.ts";
import type { RegistryEvent } from "../../platform/events/registry-event.ts";
import type { CompleteEvent } from "../../registry/stored-events.ts";
import { checkStore } from "./check-store.ts";
import { nameOf } from "./document-names.ts";
import { encodeFrame } from "./frame.ts";
import { consumerName, DamagedDocumentError, type Journal, readDocument } from "./journal.ts";
import { decodeLines, encodeLine, withoutBytes } from "./journal-lines.ts";
import { beginEpoch, ensureState, type JournalState } from "./journal-state.ts";

const changesAtOnce = 500;

/** Writes what happened to the store; any number of them, in any number of processes, write one journal. */
export interface SegmentWriter {
  /** Whether there is anything to write; reads alone. */
  hasWork(): Promise<boolean>;
  /** Resolves when everything that had happened by then is in durable segments; sooner once the signal is aborted. */
  write(signal?: AbortSignal): Promise<void>;
}

export function segmentWriter(journal: Journal): SegmentWriter {
  const { database } = journal;
  let isChecked = false;
  return {
    hasWork: async () => !isChecked || (await hasUnread(database, consumerName)),
    async write(signal) {
      // Also while the store fails: what waits for it must not fill the database.
      await sequenceEvents(database);
      await boundEvents(database, journal.settings.mostPending);
      const state = await ensureState(database, journal.documents);
      if (!isChecked) await checkStore(journal, state);
      isChecked = true;
      for (;;) {
        if (signal?.aborted === true || !(await writeSegment(journal))) return;
        await sequenceEvents(database);
      }
    },
  };
}

/** @returns whether there may be more of what had happened by now */
async function writeSegment(journal: Journal): Promise<boolean> {
  const { database, documents } = journal;
  const state = await ensureState(database, documents);
  const position = await consumerPosition(database.read, consumerName);
  if (position === undefined) {
    await beginEpoch(journal, { from: state.epoch, to: state.epoch + 1, because: "there was none" });
    return true;
  }
  const changes = await readEffects(database, { after: position, limit: changesAtOnce });
  const [first] = changes;
  if (first === undefined) return false;
  const from = position + 1;
  if (first.position !== from) {
    // Another process may have moved on meanwhile, and what it wrote be trimmed.
    if ((await consumerPosition(database.read, consumerName)) !== position) return true;
    const because = `changes ${from} to ${first.position - 1} were dropped before they could be written`;
    await beginEpoch(journal, { from: state.epoch, to: state.epoch + 1, because });
    return true;
  }
  const { lines, to } = await linesOf(journal, changes);
  const place = { kind: "segment", epoch: state.epoch, from } as const;
  const document = await encodeFrame({ ...place, registry: state.registry, to }, lines.join("\n"));
  const isOurs = await documents.create(nameOf(place), document);
  const reached = isOurs ? to : await reachedByOther(journal, state, from);
  if (reached !== undefined) {
    await advance(journal, state, { from: position, to: reached });
    // What comes while it writes is the next pass's: else a registry that is pushed to all the time has a sync of its
    // own for every few changes.
    return changes.length === changesAtOnce || reached < (changes.at(-1)?.position ?? 0);
  }
  const because = `journal/${nameOf(place)} is there already and says something else`;
  await beginEpoch(journal, { from: state.epoch, to: state.epoch + 1, because });
  return true;
}

/** What happened to images, under its positions: of a change of rights nothing is left but its place. */
const readEffects = async (
  database: Journal["database"],
  which: { readonly after: number; readonly limit: number },
): Promise<readonly Effects[]> =>
  (await readChanges(database, which)).map(({ position, at, events }) => ({
    position,
    at,
    events: events.filter((event) => event.kind !== "access-changed"),
  }));

interface Effects {
  readonly position: number;
  readonly at: number;
  readonly events: readonly RegistryEvent[];
}

/** As many changes as fit a document, at least one, and never across a gap. */
async function linesOf(
  { database, settings }: Journal,
  changes: readonly Effects[],
): Promise<{ readonly lines: readonly string[]; readonly to: number }> {
  const lines: string[] = [];
  let bytes = 0;
  let to = (changes[0]?.position ?? 1) - 1;
  for (const change of changes) {
    if (change.position !== to + 1 || bytes > settings.documentBytes) break;
    const line = encodeLine({ ...change, events: await withBytes(database, change.events) });
    lines.push(line);
    bytes += line.length;
    to = change.position;
  }
  return { lines, to };
}

const bytesAmong = prepared((read, { digests }: { readonly digests: string }, dialect) =>
  read
    .selectFrom("manifests")
    .select(["digest", "bytes"])
    .where(isAmong(dialect, "digest", digests)),
);

/** A manifest whose bytes are gone by now was deleted meanwhile; a later event says so. */
async function withBytes(database: Journal["database"], events: Effects["events"]): Promise<readonly CompleteEvent[]> {
  const digests = events.flatMap((event) => (event.kind === "manifest-stored" ? event.digest : []));
  const bytes = new Map<string, Uint8Array>();
  for (const some of inChunks(digests)) {
    const rows = await bytesAmong(database, { digests: JSON.stringify(some) });
    for (const row of rows) bytes.set(row.digest, row.bytes);
  }
  return events.map((event) =>
    event.kind === "manifest-stored" ? { ...event, bytes: bytes.get(event.digest) } : event,
  );
}

/**
 * A segment of that name is there: from another process at the same moment, or from one that ended before it could say
 * so. It counts if it has what the database has.
 * @returns its last position; `undefined` where it is of another history, or damaged
 */
async function reachedByOther(
  { database, documents, settings }: Journal,
  { epoch, registry }: JournalState,
  from: number,
): Promise<number | undefined> {
  try {
    const { header, raw } = await readDocument(documents, registry, { kind: "segment", epoch, from });
    const lines = [...decodeLines(raw)];
    if (lines.length === 0 || lines.length > settings.mostPending) return undefined;
    const changes = await readEffects(database, { after: from - 1, limit: lines.length });
    // Another process may have moved on and what it wrote be trimmed: then it is not ours to judge.
    if ((await consumerPosition(database.read, consumerName)) !== from - 1) return header.to;
    const isSame = isDeepStrictEqual(
      lines.map(({ position, at, events }) => ({ position, at, events: withoutBytes(events) })),
      changes,
    );
    return isSame && lines.at(-1)?.position === header.to ? header.to : undefined;
  } catch (error) {
    if (error instanceof DamagedDocumentError) return undefined;
    throw error;
  }
}

/** The segment is durable; now its position may be. Nothing changes where another process was quicker. */
async function advance(
  { database }: Journal,
  { epoch }: JournalState,
  { from, to }: { readonly from: number; readonly to: number },
): Promise<void> {
  await database.write(async (tx) => {
    const current = await tx
      .selectFrom("journal_state")
      .select("epoch")
      .where("id", "=", 1)
      .$if(database.dialect === "postgres", (query) => query.forUpdate())
      .executeTakeFirst();
    if (current?.epoch !== epoch) return;
    if (!(await advanceConsumer(tx, database, { name: consumerName, from, to }))) return;
    await tx
      .updateTable("journal_state")
      .set({ last_segment: from + 1 })
      .where("id", "=", 1)
      .execute();
  });
}
