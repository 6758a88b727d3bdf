import { expect, test } from "bun:test";
import { errorCode } from "../../telemetry/error-code.ts";
import { watchLog } from "./log-trust.ts";
import { SqliteError } from "./sqlite-error.ts";

const ioError = new SqliteError("disk I/O error", "SQLITE_IOERR_FSYNC");
const codeOf = async (promise: Promise<void> | undefined): Promise<string> => {
  if (promise === undefined) return "at once";
  const [outcome] = await Promise.allSettled([promise]);
  return outcome.status === "fulfilled" ? "well" : errorCode(outcome.reason);
};

test("after an error of the disk nothing counts until the log has been emptied", async () => {
  const answers = [ioError, new SqliteError("the database's log is in use", "SQLITE_BUSY"), undefined];
  let asked = 0;
  const empty = async (): Promise<void> => {
    const answer = answers[asked++];
    if (answer !== undefined) throw answer;
  };
  const log = watchLog({ sync: async () => undefined, empty });
  expect(await codeOf(log.require())).toBe("at once");
  log.noteFailure(new SqliteError("database or disk is full", "SQLITE_FULL"));
  log.noteFailure(new Error("something else"));
  expect(await codeOf(log.require())).toBe("at once");
  expect(asked).toBe(0);
  log.noteFailure(ioError);
  // The disk fails on, somebody reads the log, and then it is done; after that it is not asked again.
  expect(await codeOf(log.require())).toBe("SQLITE_IOERR_FSYNC");
  expect(await codeOf(log.require())).toBe("SQLITE_BUSY");
  expect(await codeOf(log.require())).toBe("well");
  expect(await codeOf(log.require())).toBe("at once");
  expect(asked).toBe(3);
});

test("who comes while a sync takes long waits for it, and where it fails for the log to be emptied", async () => {
  const sync = Promise.withResolvers<void>();
  let emptied = 0;
  const log = watchLog({
    sync: () => sync.promise,
    async empty() {
      emptied += 1;
    },
  });
  const synced = codeOf(log.sync());
  expect(await codeOf(log.require())).toBe("at once");
  await Bun.sleep(500);
  const required = codeOf(log.require());
  expect(await Promise.race([required, Bun.sleep(50).then(() => "waits")])).toBe("waits");
  sync.reject(ioError);
  expect([await synced, await required, emptied]).toEqual(["SQLITE_IOERR_FSYNC", "well", 1]);
  expect(await codeOf(log.require())).toBe("at once");
});
