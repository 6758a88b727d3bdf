import type { Problem } from "../../oci/problem.ts";

type StorageProblem = Extract<Problem, { readonly code: "INSUFFICIENT_STORAGE" | "UNAVAILABLE" }>;

const retryAfterSeconds = 30;

/** No room: of bytes, of inodes, of a quota, of a limit on one file. */
const full = /^(?:ENOSPC|EDQUOT|EFBIG|SQLITE_FULL|53100)$/;
/** The disk or the database refuses, and may not for ever. Codes of SQLite have finer ones behind a further `_`. */
const refusals: readonly (readonly [codes: RegExp, reason: string])[] = [
  [/^(?:EROFS|SQLITE_READONLY(?:_\w+)?|25006)$/, "the storage is read-only"],
  [/^SQLITE_(?:BUSY|LOCKED|PROTOCOL)(?:_\w+)?$/, "another process keeps the database busy"],
  [/^(?:53\d{3}|57P0[123]|08\w{3}|ECONNREFUSED|ECONNRESET)$/, "the database does not answer"],
  [/^SQLITE_(?:CORRUPT(?:_\w+)?|NOTADB)$/, "the database is damaged"],
  [/^(?:EIO|ENODEV|ENXIO|ESTALE|EMFILE|ENFILE|SQLITE_(?:IOERR|CANTOPEN)(?:_\w+)?)$/, "the storage fails"],
];

/**
 * What to tell a client where the ground below the registry gives way: an error of the disk or the database, anywhere
 * in the chain of causes. Ours to tell, not ours to mend; `undefined` for any other error, which is a bug.
 */
export function storageProblem(error: unknown): StorageProblem | undefined {
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    const code = "code" in cause ? String(cause.code) : "";
    if (full.test(code)) return { code: "INSUFFICIENT_STORAGE" };
    const [, reason] = refusals.find(([codes]) => codes.test(code)) ?? [];
    if (reason !== undefined) return { code: "UNAVAILABLE", reason: `${reason}; the log has more`, retryAfterSeconds };
  }
  return undefined;
}
