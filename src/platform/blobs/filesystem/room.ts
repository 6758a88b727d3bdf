import { statfs } from "node:fs/promises";

/** Free space that pushes leave to deletes, to the collector and to the database's log. */
export interface Room {
  /**
   * To be asked before bytes are written; most questions need no answer of the disk.
   * @throws Error ENOSPC where no more than the reserve is free
   */
  take(bytes: number): Promise<void>;
  look(): Promise<RoomLeft>;
}

export interface RoomLeft {
  readonly freeBytes: number;
  readonly reserveBytes: number;
}

interface FileSystem {
  readonly bsize: number;
  readonly blocks: number;
  readonly bavail: number;
}

const gibibyte = 2 ** 30;
const mebibyte = 2 ** 20;
/** Others write to the disk too. */
const believedMs = 1000;

/** What is kept free where nobody says otherwise: little of a small disk, and not much of a large one. */
const presetReserve = (totalBytes: number): number => Math.min(gibibyte, Math.floor(totalBytes / 20));

/** @param reserveBytes 0: none; absent: a twentieth of the file system, a gibibyte at most */
export function watchRoom(
  folder: string,
  reserveBytes: number | undefined,
  measure: (folder: string) => Promise<FileSystem> = statfs,
): Room {
  let budgetBytes = 0;
  let measuredAt = -Infinity;
  let measuring: Promise<void> | undefined;
  const look = async (): Promise<RoomLeft> => {
    const { bsize, blocks, bavail } = await measure(folder);
    // Some file systems do not know their size.
    if (blocks === 0) return { freeBytes: Infinity, reserveBytes: 0 };
    return { freeBytes: bavail * bsize, reserveBytes: reserveBytes ?? presetReserve(blocks * bsize) };
  };
  const renewBudget = async (): Promise<void> => {
    const left = await look();
    const spareBytes = left.freeBytes - left.reserveBytes;
    // A part of it, so that several who write at once do not all count on the same bytes.
    budgetBytes = Math.max(spareBytes / 4, Math.min(spareBytes, mebibyte));
    measuredAt = performance.now();
  };
  return {
    look,
    async take(bytes) {
      if (reserveBytes === 0) return;
      if (budgetBytes < bytes || performance.now() - measuredAt > believedMs) {
        measuring ??= renewBudget().finally(() => (measuring = undefined));
        await measuring;
      }
      if (budgetBytes <= 0) throw noRoom();
      budgetBytes -= bytes;
    },
  };
}

const noRoom = (): Error =>
  Object.assign(new Error("the disk's free space has come down to the reserve"), { code: "ENOSPC" });
