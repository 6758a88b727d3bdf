import type { Problem } from "../../oci/problem.ts";

type StorageProblem = Extract<Problem, { readonly code: "INSUFFICIENT_STORAGE" | "UNAVAILABLE" }>;

const retryAfterSeconds = 30;

/** No room: of bytes, of inodes, of a quota, of a limit on one file. */
const full = /^(?:ENOSPC|EDQUOT|EFBIG|SQLITE_FULL|53100)$/;
/** The disk or the database refuses, and may not for ever. */
const failing =
  /^(?:EIO|EROFS|ENODEV|ENXIO|ESTALE|EMFILE|ENFILE|SQLITE_(?:IOERR|READONLY|CANTOPEN|BUSY|PROTOCOL)(?:_\w+)?|53\d\d\d|57P0[123]|08\d\d\d|ECONNREFUSED|ECONNRESET)$/;

/**
 * What to tell a client where the ground below the registry gives way: an error of the disk or the database, anywhere
 * in the chain of causes. `undefined` for any other error, which is a bug.
 */
export function storageProblem(error: unknown): StorageProblem | undefined {
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    const code = "code" in cause ? String(cause.code) : "";
    if (full.test(code)) return { code: "INSUFFICIENT_STORAGE" };
    if (failing.test(code)) {
      return {
        code: "UNAVAILABLE",
        reason: "the registry's storage fails: pulls go on, and its log tells the operator why",
        retryAfterSeconds,
      };
    }
  }
  return undefined;
}
