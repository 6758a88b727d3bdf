import { expect, test } from "bun:test";
import { watchLog } from "./log-trust.ts";
import { SqliteError } from "./writer-protocol.ts";

/** A database that answers a checkpoint as the test says. */
function checkpoints(...answers: readonly (number | SqliteError)[]) {
  const asked: string[] = [];
  const left = [...answers];
  return {
    asked,
    async execute({ sql }: { readonly sql: string }) {
      asked.push(sql);
      const answer = left.shift();
      if (typeof answer !== "number") throw answer ?? new Error("not expected");
      return { rows: [{ busy: answer, log: 0, checkpointed: 0 }], changes: 0 };
    },
  };
}

const ioError = new SqliteError("disk I/O error", { code: "SQLITE_IOERR_FSYNC" });
const codeOf = async (promise: Promise<void>): Promise<string> => {
  const [outcome] = await Promise.allSettled([promise]);
  return outcome.status === "fulfilled" ? "well" : (outcome.reason as SqliteError).code;
};

test("after an error of the disk nothing counts until the log has been emptied", async () => {
  const database = checkpoints(ioError, 1, 0);
  const log = watchLog(database.execute, async () => undefined);
  expect(await codeOf(log.require())).toBe("well");
  log.noteFailure(new SqliteError("database or disk is full", { code: "SQLITE_FULL" }));
  log.noteFailure(new Error("something else"));
  expect(await codeOf(log.require())).toBe("well");
  expect(database.asked).toEqual([]);
  log.noteFailure(ioError);
  // The disk fails on, somebody reads the log, and then it is done; after that it is not asked again.
  expect(await codeOf(log.require())).toBe("SQLITE_IOERR_FSYNC");
  expect(await codeOf(log.require())).toBe("SQLITE_BUSY");
  expect(await codeOf(log.require())).toBe("well");
  expect(await codeOf(log.require())).toBe("well");
  expect(database.asked).toEqual(Array.from({ length: 3 }, () => "PRAGMA wal_checkpoint(TRUNCATE)"));
});
