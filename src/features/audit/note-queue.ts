import type { Database } from "../../platform/database/database.ts";
import type { Log } from "../../platform/telemetry/log.ts";
import { addEntries } from "./add-entries.ts";
import type { Entry } from "./entry.ts";
import { type Note, noteSources, type Source } from "./note-sources.ts";

/** Where notes wait for a second, in memory: nobody waits for them, and a loss of power may take them. */
export interface NoteQueue {
  add(note: Note): void;
  /** Writes down what waits; with `isLast`, repeats that are still being gathered too. */
  flush(isLast?: boolean): Promise<void>;
  /** Notes that there was no room for. */
  dropped(): number;
}

interface Repeat {
  readonly source: Source;
  readonly requestId: string;
}

interface NoteQueueDeps {
  readonly database: Database;
  readonly log: Log;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** How many sources may be remembered at once. */
  readonly mostSources?: number;
  /** How many of them may be one client's: what it does beyond that is told together. */
  readonly mostOfClient?: number;
}

const flushEveryMs = 1000;
/** So few that nobody waits for the transaction that writes them. */
const mostFirstOfFlush = 200;
/** Of repeats, that each request is found by its id; those of a flood are in the log alone. */
const mostRequestsOfFlush = 200;

/** The first of a source is written at once, and what repeats it within its window as one entry at the window's end. */
export function noteQueue(deps: NoteQueueDeps): NoteQueue {
  const { database, log, now, mostSources = 5000, mostOfClient = 200 } = deps;
  const sources = noteSources({ mostOfClient, mostOfStrangers: mostSources / 2 });
  let repeats: Repeat[] = [];
  let dropped = 0;
  let flushing: Promise<void> | undefined;

  /** Nothing is added to what is being written: it is taken out, and put back where that fails. */
  const write = async (isLast: boolean): Promise<void> => {
    const at = now();
    const all = [...sources];
    const first = all.filter(({ entryId }) => entryId === undefined).slice(0, isLast ? mostSources : mostFirstOfFlush);
    const isWritten = (source: Source): boolean => source.entryId !== undefined || first.includes(source);
    const ended = all.filter((source) => (isLast || at - source.since >= source.note.windowMs) && isWritten(source));
    const requests = repeats.filter(({ source }) => isWritten(source));
    repeats = repeats.filter(({ source }) => !isWritten(source));
    for (const source of ended) sources.delete(source);
    const gathered = ended.flatMap((source) => (source.repeats > 0 ? repeatsOf(source) : []));
    if (first.length + gathered.length + requests.length === 0) return;
    try {
      const added = await writeNotes(database, { first, gathered, requests });
      for (const [index, source] of first.entries()) source.entryId = added + index;
    } catch (error) {
      for (const source of ended) sources.add(source);
      throw error;
    }
  };
  const flush = async (isLast = false): Promise<void> => {
    if (flushing !== undefined) await flushing;
    flushing = write(isLast)
      // What could not be written waits on, as far as there is room.
      .catch((error: unknown) => log.error("audit notes not written", error))
      .finally(() => (flushing = undefined));
    await flushing;
  };
  setInterval(() => void (sources.size > 0 && flushing === undefined && flush()), flushEveryMs).unref();

  return {
    add(given) {
      const note = sources.within(given);
      const known = sources.get(note.source);
      if (known === undefined) {
        if (sources.size >= mostSources) dropped += 1;
        else sources.add({ note, since: now(), entryId: undefined, repeats: 0, latest: 0 });
        return;
      }
      known.repeats += 1;
      known.latest = now();
      const { requestId } = note.by;
      if (requestId !== undefined && note.outcome === "refused" && repeats.length < mostRequestsOfFlush) {
        repeats.push({ source: known, requestId });
      }
    },
    flush,
    dropped: () => dropped,
  };
}

interface Batch {
  readonly first: readonly Source[];
  readonly gathered: readonly Entry[];
  readonly requests: readonly Repeat[];
}

/** @returns the id of the first entry */
const writeNotes = (database: Database, { first, gathered, requests }: Batch): Promise<number> =>
  database.write(
    async (tx) => {
      const added = await addEntries(tx, [...first.map(entryOf), ...gathered]);
      const rows = requests.map(({ source, requestId }) => ({
        request_id: requestId,
        entry_id: source.entryId ?? added + first.indexOf(source),
      }));
      if (rows.length === 0) return added;
      await tx
        .insertInto("audit_requests")
        .values(rows)
        .onConflict((conflict) => conflict.column("request_id").doNothing())
        .execute();
      return added;
    },
    { survives: "process" },
  );

const entryOf = ({ note, since }: Source): Entry => ({ ...note, at: since });

function repeatsOf({ note, since, repeats, latest }: Source): Entry {
  const { requestId: _, ...by } = note.by;
  const detail = { ...note.detail, since: new Date(since).toISOString(), until: new Date(latest).toISOString() };
  return { ...note, by, at: latest, times: repeats, detail };
}
