import type { Problem } from "../../oci/problem.ts";

type StorageProblem = Extract<Problem, { readonly code: "INSUFFICIENT_STORAGE" | "UNAVAILABLE" }>;

/** A disk takes an operator; a database or a busy one is mostly back before anyone has noticed. */
const [diskSeconds, databaseSeconds] = [30, 2];

/** No room: of bytes, of inodes, of a quota, of a limit on one file. */
const full = /^(?:ENOSPC|EDQUOT|EFBIG|SQLITE_FULL|53100)$/;
/** The disk or the database refuses, and may not for ever. Codes of SQLite have finer ones behind a further `_`. */
const refusals: readonly (readonly [codes: RegExp, reason: string, retryAfterSeconds: number])[] = [
  [/^(?:EROFS|SQLITE_READONLY(?:_\w+)?|25006)$/, "the storage is read-only", diskSeconds],
  [/^SQLITE_(?:BUSY|LOCKED|PROTOCOL)(?:_\w+)?$/, "another process keeps the database busy", databaseSeconds],
  [
    /^(?:53\d{3}|57P0\d|08\w{3}|25P0[34]|ECONNREFUSED|ECONNRESET|EPIPE|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|EAI_AGAIN)$/,
    "the database does not answer",
    databaseSeconds,
  ],
  [/^(?:57014|55P03)$/, "the database takes too long", databaseSeconds],
  [/^(?:40001|40P01)$/, "too many write the same at once", databaseSeconds],
  [/^SQLITE_(?:CORRUPT(?:_\w+)?|NOTADB)$/, "the database is damaged", diskSeconds],
  [/^(?:EIO|ENODEV|ENXIO|ESTALE|EMFILE|ENFILE|SQLITE_(?:IOERR|CANTOPEN)(?:_\w+)?)$/, "the storage fails", diskSeconds],
];
/** What pg says without a code where a connection ends, or there is none to be had in time. */
const disconnected =
  /^(?:Connection terminated|timeout expired|timeout exceeded when trying to connect|Client (?:has encountered a connection error|was closed))/;

/**
 * What to tell a client where the ground below the registry gives way: an error of the disk or the database, anywhere
 * in the chain of causes. Ours to tell, not ours to mend; `undefined` for any other error, which is a bug.
 */
export function storageProblem(error: unknown): StorageProblem | undefined {
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    const own = "code" in cause ? String(cause.code) : "";
    const code = own === "" && disconnected.test(cause.message) ? "08006" : own;
    if (full.test(code)) return { code: "INSUFFICIENT_STORAGE" };
    const [, reason, retryAfterSeconds] = refusals.find(([codes]) => codes.test(code)) ?? [];
    if (reason !== undefined && retryAfterSeconds !== undefined) {
      return { code: "UNAVAILABLE", reason: `${reason}; the log has more`, retryAfterSeconds };
    }
  }
  return undefined;
}
