import { expect, test } from "bun:test";
import { storageProblem } from "./storage-problem.ts";

const withCode = (code: string, cause?: Error): Error => Object.assign(new Error(code, { cause }), { code });
const codeOf = (error: unknown): string | undefined => storageProblem(error)?.code;

test("a disk without room is told apart from one that fails, and both from a bug", () => {
  for (const code of ["ENOSPC", "EDQUOT", "SQLITE_FULL", "53100"]) {
    expect(codeOf(withCode(code))).toBe("INSUFFICIENT_STORAGE");
  }
  for (const code of [
    "EIO",
    "EROFS",
    "SQLITE_BUSY",
    "SQLITE_IOERR_FSYNC",
    "SQLITE_READONLY",
    "SQLITE_CANTOPEN",
    "SQLITE_CORRUPT",
    "SQLITE_NOTADB",
    "57P01",
  ]) {
    expect(codeOf(withCode(code))).toBe("UNAVAILABLE");
  }
  for (const error of [
    new Error("ENOSPC"),
    withCode("ENOENT"),
    withCode("SQLITE_CONSTRAINT_UNIQUE"),
    withCode("SQLITE_FULLER"),
    "EIO",
    undefined,
  ]) {
    expect(codeOf(error)).toBeUndefined();
  }
});

test("the cause counts, however deep", () => {
  expect(storageProblem(new Error("cannot", { cause: withCode("ABC", withCode("ENOSPC")) }))?.code).toBe(
    "INSUFFICIENT_STORAGE",
  );
});
