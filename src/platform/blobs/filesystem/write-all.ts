import type { FileHandle } from "node:fs/promises";
import { letGo } from "../let-go.ts";
import { chunksIn, type Piece, sizeOf } from "../piece.ts";
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
 * One write runs while the caller makes the next piece: hashing and writing overlap, and memory stays bounded. So does
 * one sync: it took 0.6 s of the 2.9 that a gibibyte takes, as long as all of it was left to the end. Where the disk is
 * behind there is nothing to win by that, and every upload would hold a piece more.
 */
export async function writeAll(
  { file, offset, room, lanes, syncAhead }: Writing,
  pieces: AsyncIterable<Piece>,
): Promise<number> {
  let size = offset;
  let syncedFrom = offset;
  let writing: Promise<void> = Promise.resolve();
  let syncing: Promise<void> = Promise.resolve();
  let isSyncing = false;
  try {
    for await (const piece of pieces) {
      const bytes = sizeOf(piece);
      await room.take(bytes);
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
      writing = lanes.run(() => writePiece(file, at, chunksIn(piece)));
      writing.catch(() => {});
      size += bytes;
      if (lanes.isBehind()) await writing;
    }
  } finally {
    await Promise.allSettled([syncing]);
    await writing;
  }
  await syncing;
  return size;
}

async function writePiece(file: FileHandle, offset: number, chunks: readonly Uint8Array[]): Promise<void> {
  let at = offset;
  for (let left = behind(chunks, 0); left.length > 0;) {
    const [first] = left;
    const { bytesWritten } = await (first !== undefined && left.length === 1
      ? file.write(first, 0, first.byteLength, at)
      : file.writev(left, at));
    at += bytesWritten;
    left = behind(left, bytesWritten);
  }
  chunks.forEach(letGo);
}

/** What follows the first so many bytes: a disk may take a part of what it is given. */
function behind(chunks: readonly Uint8Array[], bytes: number): readonly Uint8Array[] {
  let left = bytes;
  const from = chunks.findIndex(({ byteLength }) => {
    if (left < byteLength) return true;
    left -= byteLength;
    return false;
  });
  if (from === -1) return [];
  return chunks.slice(from).map((chunk, index) => (index === 0 ? chunk.subarray(left) : chunk));
}
