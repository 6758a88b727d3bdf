import { sql } from "kysely";
import { clock } from "../../platform/database/clock.ts";
import { inChunks } from "../../platform/database/in-chunks.ts";
import type { RecordingWriter } from "../../platform/events/record-events.ts";
import { doomBytes } from "../blobs.ts";
import type { Registry } from "../registry.ts";

interface EndedUpload {
  readonly blob_key: string;
  readonly state: string;
  readonly holder: string | null;
}

/** A request that was writing when its session ended finds out and removes its bytes itself, long before. */
const writerEndsMs = 15 * 60 * 1000;

/**
 * For the transaction that ends sessions: their bytes, finished or not, are known to be nobody's until they are gone,
 * whatever happens in between.
 */
export async function doomUploads(
  { database }: Pick<Registry, "database">,
  tx: RecordingWriter,
  ended: readonly EndedUpload[],
): Promise<void> {
  const now = clock(database.dialect);
  const later = sql<number>`${now} + ${sql.lit(writerEndsMs)}`;
  for (const some of inChunks(ended)) {
    await doomBytes(
      tx,
      some.map(({ blob_key, state, holder }) => ({ blob_key, state, delete_after: holder === null ? now : later })),
    );
  }
}
