import type { Execute } from "./sqlite-dialect.ts";
import { SqliteError } from "./writer-protocol.ts";

/** Whether what the write-ahead log holds can be counted on. */
export interface LogTrust {
  /** After an error of the disk: pages of the log that the kernel could not write may be gone, though it shows them. */
  noteFailure(error: unknown): void;
  /**
   * To be asked before a commit counts: after a failure the log's content has to be in the database file first, written
   * and synced, and the log begins anew.
   * @throws SqliteError while the disk still fails, or somebody reads what is in the log
   */
  require(): Promise<void>;
}

export function watchLog(execute: Execute): LogTrust {
  let isTrusted = true;
  return {
    noteFailure(error) {
      if (error instanceof SqliteError && error.code.startsWith("SQLITE_IOERR")) isTrusted = false;
    },
    async require() {
      if (isTrusted) return;
      const { rows } = await execute({ sql: "PRAGMA wal_checkpoint(TRUNCATE)", parameters: [] });
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the one row of this pragma
      const [outcome] = rows as readonly { readonly busy: number }[];
      if (outcome?.busy !== 0) throw new SqliteError("the database's log is in use after an error", "SQLITE_BUSY");
      isTrusted = true;
    },
  };
}
