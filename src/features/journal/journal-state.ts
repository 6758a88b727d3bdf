import type { Selectable } from "kysely";
import type { DocumentStore } from "../../platform/blobs/document-store.ts";
import type { Database, Reader, Tables } from "../../platform/database/database.ts";
import { placeConsumer } from "../../platform/events/consume-events.ts";
import { sequenceEvents } from "../../platform/events/positions.ts";
import { requestJob } from "../../platform/jobs/job-queue.ts";
import { nameOf } from "./document-names.ts";
import { consumerName, type Journal, readDocument } from "./journal.ts";

export type JournalState = Selectable<Tables["journal_state"]>;

export const snapshotJobName = "journal-snapshot";

/** Whose journal the store holds; `undefined` where it holds none. @throws DamagedDocumentError */
async function storedIdentity(documents: DocumentStore): Promise<string | undefined> {
  const place = { kind: "identity" } as const;
  if (!(await documents.list()).includes(nameOf(place))) return undefined;
  return (await readDocument(documents, undefined, place)).header.registry;
}

export const readState = (reader: Reader): Promise<JournalState | undefined> =>
  reader.selectFrom("journal_state").selectAll().where("id", "=", 1).executeTakeFirst();

/** Where there is none, the one of the journal that the store holds, else a new one. */
export async function ensureState(database: Database, documents: DocumentStore): Promise<JournalState> {
  const known = await readState(database.read);
  if (known !== undefined) return known;
  const registry = (await storedIdentity(documents)) ?? crypto.randomUUID();
  return database.write(async (tx) => {
    await tx
      .insertInto("journal_state")
      .values({
        id: 1,
        registry,
        epoch: 0,
        last_segment: 0,
        snapshots: 0,
        snapshot_number: 0,
        snapshot_to: 0,
        snapshot_at: 0,
      })
      .onConflict((conflict) => conflict.column("id").doNothing())
      .execute();
    return tx.selectFrom("journal_state").selectAll().where("id", "=", 1).executeTakeFirstOrThrow();
  });
}

/**
 * Leaves what was written as it is, and goes on behind everything that happened so far: a snapshot, which is asked for
 * at once, holds that. Of two who find the same fault, one does it.
 */
export async function beginEpoch(
  { database, log }: Journal,
  { from, to, because }: { readonly from: number; readonly to: number; readonly because: string },
): Promise<void> {
  await sequenceEvents(database);
  const isBegun = await database.write(async (tx) => {
    const moved = await tx
      .updateTable("journal_state")
      .set({ epoch: to, last_segment: 0, snapshot_number: 0, snapshot_to: 0, snapshot_at: 0 })
      .where("epoch", "=", from)
      .returning("id")
      .execute();
    if (moved.length === 0) return false;
    await placeConsumer(tx, database, consumerName);
    await requestJob(tx, database, snapshotJobName);
    return true;
  });
  if (isBegun) log.info("journal begun", { epoch: to, because });
}
