import { errorCode } from "../../telemetry/error-code.ts";

/** The write-ahead log: what is committed stands in it, and is durable once it is synced. */
export interface Log {
  /**
   * Makes durable what has been committed by now. One sync runs at a time, and the next one is for all who ask meanwhile.
   * A commit can be seen before that; what is committed on top of it is behind it in the log, and never durable without it.
   * @throws Error the disk's; what it failed for is never tried again
   */
  sync(): Promise<void>;
  /** After an error of the disk: pages of the log that the kernel could not write may be gone, though it shows them. */
  noteFailure(error: unknown): void;
  /**
   * To be asked before a transaction; `undefined` where it may begin at once. Else it may when this resolves: after a
   * failure the log's content has to be in the database file first, written and synced, and the log begins anew; and to
   * a disk that does not answer nobody writes, as the event loop might have to wait for it.
   * @throws Error while the disk still fails, or somebody reads what is in the log
   */
  require(): Promise<void> | undefined;
}

interface LogFile {
  /** In a thread: nobody has the database locked while it runs. */
  readonly sync: () => Promise<void>;
  /** Moves all that is in the log to the database file. */
  readonly empty: () => Promise<void>;
}

/** A sync that takes longer holds up those who come to write; one of a disk takes a few milliseconds. */
const slowSyncMs = 150;

export function watchLog({ sync, empty }: LogFile): Log {
  let failure: unknown;
  let isTrusted = true;
  let running: Promise<void> | undefined;
  let next: Promise<void> | undefined;
  let syncingSince: number | undefined;
  const distrust = (error: unknown): void => {
    failure = error;
    isTrusted = false;
  };
  const beginSync = async (): Promise<void> => {
    await Promise.allSettled([running]);
    running = next;
    next = undefined;
    // Asked again, the disk would say that all is well.
    if (!isTrusted) throw failure;
    syncingSince = performance.now();
    try {
      await sync();
    } catch (error) {
      distrust(error);
      throw error;
    } finally {
      syncingSince = undefined;
    }
  };
  const isSlow = (): boolean => syncingSince !== undefined && performance.now() - syncingSince > slowSyncMs;
  const prepare = async (): Promise<void> => {
    while (isSlow()) await Promise.allSettled([running]);
    if (isTrusted) return;
    await empty();
    isTrusted = true;
  };
  return {
    sync: () => (next ??= beginSync()),
    noteFailure(error) {
      if (errorCode(error).startsWith("SQLITE_IOERR")) distrust(error);
    },
    require: () => (isTrusted && !isSlow() ? undefined : prepare()),
  };
}
