import { clock } from "../../platform/database/clock.ts";
import { consumerPosition } from "../../platform/events/consume-events.ts";
import { lastPosition, sequenceEvents } from "../../platform/events/positions.ts";
import type { JobRun } from "../../platform/jobs/run-jobs.ts";
import { storedEvents } from "../../registry/stored-events.ts";
import { nameOf } from "./document-names.ts";
import { encodeFrame } from "./frame.ts";
import { consumerName, type Journal } from "./journal.ts";
import { encodeLine } from "./journal-lines.ts";
import { ensureState, type JournalState, readState } from "./journal-state.ts";
import { removeOldDocuments } from "./remove-old-documents.ts";
import type { SegmentWriter } from "./write-segments.ts";

/** The server stops, or another process has the job: the next run begins anew. */
class InterruptedError extends Error {
  override readonly name = "InterruptedError";
}

interface Snapshot {
  readonly state: JournalState;
  readonly number: number;
  readonly from: number;
}

/**
 * Writes the tables as they are, while they go on changing: what is read at `from` or later is made exact by the
 * segments from there to `to`, which are durable before the snapshot counts. Its parts come first and its index last.
 */
export async function writeSnapshot(
  journal: Journal,
  segments: SegmentWriter,
  { signal, progress }: JobRun,
): Promise<void> {
  const { database, documents, log } = journal;
  // So that there is an epoch, and no change in it that the snapshot would wait for.
  await segments.write(signal);
  const snapshot = await beginSnapshot(journal);
  const { state, number, from } = snapshot;
  const parts = await writeParts(journal, snapshot, { signal, progress });
  await sequenceEvents(database);
  const to = await lastPosition(database.read, database.dialect);
  while (((await consumerPosition(database.read, consumerName)) ?? 0) < to) {
    if (signal.aborted) throw new InterruptedError("the snapshot was interrupted");
    await segments.write(signal);
  }
  await requireParts(journal, snapshot, parts);
  const index = { kind: "index", epoch: state.epoch, number } as const;
  const document = await encodeFrame({ ...index, registry: state.registry, from, to, parts }, "");
  if (!(await documents.create(nameOf(index), document))) throw new Error(`journal/${nameOf(index)} is there already`);
  await database.write((tx) =>
    tx
      .updateTable("journal_state")
      .set({ snapshot_number: number, snapshot_to: to, snapshot_at: clock(database.dialect) })
      .where("epoch", "=", state.epoch)
      .where("snapshot_number", "<", number)
      .execute(),
  );
  const removed = await removeOldDocuments(documents, state.registry);
  progress(`${String(parts)} parts up to change ${String(to)}`);
  log.info("snapshot written", { epoch: state.epoch, number, parts, to, removed });
}

async function beginSnapshot({ database, documents }: Journal): Promise<Snapshot> {
  const { epoch } = await ensureState(database, documents);
  await sequenceEvents(database);
  const state = await database.write((tx) =>
    tx
      .updateTable("journal_state")
      .set((expression) => ({ snapshots: expression("snapshots", "+", 1) }))
      .where("epoch", "=", epoch)
      .returningAll()
      .executeTakeFirst(),
  );
  if (state === undefined) throw new InterruptedError("the journal has begun anew");
  return { state, number: state.snapshots, from: await lastPosition(database.read, database.dialect) };
}

/** @returns how many */
async function writeParts(
  { database, documents, settings }: Journal,
  { state, number }: Snapshot,
  { signal, progress }: JobRun,
): Promise<number> {
  let parts = 0;
  let lines: string[] = [];
  let bytes = 0;
  const write = async (): Promise<void> => {
    const place = { kind: "part", epoch: state.epoch, number, part: parts } as const;
    const document = await encodeFrame({ ...place, registry: state.registry }, lines.join("\n"));
    if (!(await documents.create(nameOf(place), document)))
      throw new Error(`journal/${nameOf(place)} is there already`);
    parts += 1;
    lines = [];
    bytes = 0;
    progress(`part ${String(parts)}`);
  };
  for await (const events of storedEvents(database.read)) {
    if (signal.aborted) throw new InterruptedError("the snapshot was interrupted");
    const line = encodeLine({ position: 0, at: 0, events });
    lines.push(line);
    bytes += line.length;
    if (bytes >= settings.documentBytes) await write();
  }
  if (lines.length > 0) await write();
  return parts;
}

/** A process that took this one for dead may have finished a newer snapshot and removed what looked left behind. */
async function requireParts({ database, documents }: Journal, snapshot: Snapshot, parts: number): Promise<void> {
  const { state, number } = snapshot;
  const names = new Set(await documents.list());
  const all = Array.from({ length: parts }, (_, part) => nameOf({ kind: "part", epoch: state.epoch, number, part }));
  const isCurrent = (await readState(database.read))?.epoch === state.epoch;
  if (!isCurrent || all.some((name) => !names.has(name)))
    throw new InterruptedError("the journal has gone on without it");
}
