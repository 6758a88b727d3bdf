import type { Execute } from "./sqlite-dialect.ts";
import { SqliteError } from "./writer-protocol.ts";

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
   * To be asked before a commit counts: after a failure the log's content has to be in the database file first, written
   * and synced, and the log begins anew.
   * @throws SqliteError while the disk still fails, or somebody reads what is in the log
   */
  require(): Promise<void>;
}

/** @param syncFile of the log, in a thread: nobody has the database locked while it runs */
export function watchLog(execute: Execute, syncFile: () => Promise<void>): Log {
  let failure: unknown;
  let isTrusted = true;
  let running: Promise<void> | undefined;
  let next: Promise<void> | undefined;
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
    try {
      await syncFile();
    } catch (error) {
      distrust(error);
      throw error;
    }
  };
  return {
    sync: () => (next ??= beginSync()),
    noteFailure(error) {
      if (error instanceof SqliteError && error.code.startsWith("SQLITE_IOERR")) distrust(error);
    },
    async require() {
      if (isTrusted) return;
      const { rows } = await execute({ sql: "PRAGMA wal_checkpoint(TRUNCATE)", parameters: [] });
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the one row of this pragma
      const [outcome] = rows as readonly { readonly busy: number }[];
      if (outcome?.busy !== 0) {
        throw new SqliteError("the database's log is in use after an error", { code: "SQLITE_BUSY" });
      }
      isTrusted = true;
    },
  };
}
