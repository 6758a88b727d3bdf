import type { Job } from "../../platform/jobs/run-jobs.ts";
import { type Journal } from "./journal.ts";
import { readState, snapshotJobName } from "./journal-state.ts";
import { lastPosition } from "../../platform/events/positions.ts";
import type { SegmentWriter } from "./write-segments.ts";
import { writeSnapshot } from "./write-snapshot.ts";

/** What writes the journal. */
export const journalJobs = (journal: Journal, segments: SegmentWriter): readonly Job[] => [
  {
    name: "journal",
    everyMs: journal.settings.intervalMs,
    hasWork: () => segments.hasWork(),
    run: ({ signal }) => segments.write(signal),
  },
  {
    name: snapshotJobName,
    everyMs: journal.settings.snapshotMs,
    hasWork: () => hasChanged(journal),
    run: (run) => writeSnapshot(journal, segments, run),
  },
];

/** Whether anything happened since the last snapshot. */
async function hasChanged({ database }: Journal): Promise<boolean> {
  const state = await readState(database.read);
  if (state === undefined || state.snapshot_number === 0) return true;
  return (await lastPosition(database.read, database.dialect)) > state.snapshot_to;
}
