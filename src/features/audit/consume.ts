import { server } from "../../platform/events/access-event.ts";
import type { Database } from "../../platform/database/database.ts";
import { advanceConsumer, consumerPosition, hasUnread, readChanges } from "../../platform/events/consume-events.ts";
import { sequenceEvents } from "../../platform/events/positions.ts";
import { addEntries } from "./add-entries.ts";
import { entriesOf } from "./entries-of.ts";
import type { Entry } from "./entry.ts";

export const consumerName = "audit";

/** So few that nobody waits for the transaction that writes them. */
const changesAtOnce = 50;

export const hasChangesToTell = (database: Database): Promise<boolean> => hasUnread(database, consumerName);

/** Writes down what was done by now; any number of processes at once write each change once. */
export async function tellChanges(database: Database, signal?: AbortSignal): Promise<void> {
  for (;;) {
    if (signal?.aborted === true) return;
    await sequenceEvents(database);
    if (!(await tellSome(database))) return;
  }
}

/** @returns whether there may be more */
async function tellSome(database: Database): Promise<boolean> {
  const position = await consumerPosition(database.read, consumerName);
  // Nobody is to be told anything.
  if (position === undefined) return false;
  const changes = await readChanges(database, { after: position, limit: changesAtOnce });
  const [first, last] = [changes[0], changes.at(-1)];
  if (first === undefined || last === undefined) return false;
  const lost = first.position === position + 1 ? [] : lostBefore(first, position);
  const entries = [...lost, ...changes.flatMap(entriesOf)];
  await database.write(async (tx) => {
    // Who was quicker has written the same.
    if (!(await advanceConsumer(tx, database, { name: consumerName, from: position, to: last.position }))) return;
    if (entries.length > 0) await addEntries(tx, entries);
  });
  return true;
}

/** What was dropped before it could be read is told to be missing: a hole must not look like quiet. */
const lostBefore = (
  { position, at }: { readonly position: number; readonly at: number },
  reached: number,
): readonly Entry[] => [
  {
    at,
    action: "audit-gap",
    outcome: "done",
    by: server,
    detail: { changes: position - reached - 1 },
  },
];
