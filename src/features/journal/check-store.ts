import { consumerPosition } from "../../platform/events/consume-events.ts";
import { requestJob } from "../../platform/jobs/job-queue.ts";
import { nameOf, placeOf } from "./document-names.ts";
import { encodeFrame } from "./frame.ts";
import { consumerName, ForeignJournalError, type Journal, readDocument } from "./journal.ts";
import { beginEpoch, type JournalState, snapshotJobName } from "./journal-state.ts";

/**
 * Once a process, before it writes: the store holds the journal of this registry, and all of what the database says was
 * written and nothing more. Where a backup of one of the two was put back, that is not so, and a new epoch begins.
 * @throws ForeignJournalError
 */
export async function checkStore(journal: Journal, state: JournalState): Promise<void> {
  await claimStore(journal, state);
  const { database, documents } = journal;
  const places = (await documents.list()).flatMap((name) => placeOf(name) ?? []);
  const newest = Math.max(0, ...places.map((place) => (place.kind === "identity" ? 0 : place.epoch)));
  const because = await breakIn(journal, state, newest);
  if (because !== undefined) {
    await beginEpoch(journal, { from: state.epoch, to: Math.max(newest, state.epoch) + 1, because });
  } else if (state.snapshot_number === 0) {
    await database.write((tx) => requestJob(tx, database, snapshotJobName));
  }
}

async function claimStore({ documents }: Journal, { registry }: JournalState): Promise<void> {
  const identity = { kind: "identity" } as const;
  await documents.create(nameOf(identity), await encodeFrame({ ...identity, registry }, ""));
  const { header } = await readDocument(documents, undefined, identity);
  if (header.registry === registry) return;
  throw new ForeignJournalError(
    `the store holds the journal of registry ${header.registry}, and the database is of ${registry}: one of them is not ` +
      "where it belongs",
  );
}

/** Why the journal cannot go on where the database says that it ended. */
async function breakIn(
  { database, documents }: Journal,
  state: JournalState,
  newestEpoch: number,
): Promise<string | undefined> {
  const position = await consumerPosition(database.read, consumerName);
  // The first segment will begin the first epoch, or the next one.
  if (position === undefined) return newestEpoch > 0 ? "the database has been made anew" : undefined;
  if (newestEpoch > state.epoch) return "the store has a journal that the database does not know";
  const names = new Set(await documents.list());
  const segments = [...names].flatMap((name) => {
    const place = placeOf(name);
    return place?.kind === "segment" && place.epoch === state.epoch ? place.from : [];
  });
  // One that begins right behind the position may come from a process that ended before it could say so.
  if (segments.some((from) => from > position + 1)) return "the store has segments that the database does not know";
  const { epoch, last_segment: from, snapshot_number: number } = state;
  const missing = [
    ...(from > 0 ? [nameOf({ kind: "segment", epoch, from })] : []),
    ...(number > 0 ? [nameOf({ kind: "index", epoch, number })] : []),
  ].find((name) => !names.has(name));
  return missing === undefined ? undefined : `journal/${missing} is missing`;
}
