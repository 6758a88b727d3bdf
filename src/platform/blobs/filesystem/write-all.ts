import type { FileHandle } from "node:fs/promises";
import { letGo } from "../let-go.ts";
import type { Lanes } from "./lanes.ts";
import type { Room } from "./room.ts";

export interface Writing {
  readonly file: FileHandle;
  readonly offset: number;
  readonly room: Room;
  readonly lanes: Lanes;
  /** Makes durable what is written, or leaves it to the sync at the end. */
  readonly syncAhead: () => Promise<void>;
}

/** So much is worth a sync of its own: most layers are smaller, and have the one that they need. */
const aheadBytes = 64 * 1024 * 1024;

/**
 * One write runs while the caller makes the next chunk: hashing and writing overlap, and memory stays bounded. So does
 * one sync: it took 0.6 s of the 2.9 that a gibibyte takes, as long as all of it was left to the end. Where the disk is
 * behind there is nothing to win by that, and every upload would hold a chunk more.
 */
export async function writeAll(
  { file, offset, room, lanes, syncAhead }: Writing,
  chunks: AsyncIterable<Uint8Array>,
): Promise<number> {
  let size = offset;
  let syncedFrom = offset;
  let writing: Promise<void> = Promise.resolve();
  let syncing: Promise<void> = Promise.resolve();
  let isSyncing = false;
  try {
    for await (const chunk of chunks) {
      await room.take(chunk.byteLength);
      await writing;
      if (size - syncedFrom >= aheadBytes && !isSyncing) {
        // What it failed for is lost, whatever the next one says.
        await syncing;
        syncedFrom = size;
        isSyncing = true;
        syncing = syncAhead().finally(() => (isSyncing = false));
        syncing.catch(() => {});
      }
      const at = size;
      writing = lanes.run(() => writeChunk(file, at, chunk));
      writing.catch(() => {});
      size += chunk.byteLength;
      if (lanes.isBehind()) await writing;
    }
  } finally {
    await Promise.allSettled([syncing]);
    await writing;
  }
  await syncing;
  return size;
}

async function writeChunk(file: FileHandle, offset: number, chunk: Uint8Array): Promise<void> {
  for (let written = 0; written < chunk.byteLength;) {
    const { bytesWritten } = await file.write(chunk, written, chunk.byteLength - written, offset + written);
    written += bytesWritten;
  }
  letGo(chunk);
}
