// What is in the log goes into the database file, with two syncs, which the event loop does not wait for.
import { Database } from "bun:sqlite";
import { parentPort, workerData } from "node:worker_threads";
import { errorCode } from "../../telemetry/error-code.ts";
import type { CheckpointAnswer, CheckpointOrder } from "./checkpointer.ts";

/** As many pages as the log may have before those who write wait for a moment, so that it can begin anew. */
const longLogPages = 16_000;

const database = new Database(String(workerData), { readwrite: true });
for (const pragma of ["busy_timeout = 200", "synchronous = NORMAL", "wal_autocheckpoint = 0"])
  database.run(`PRAGMA ${pragma}`);

const checkpoint = (mode: "PASSIVE" | "RESTART" | "TRUNCATE") =>
  database.query<{ readonly busy: number; readonly log: number }, []>(`PRAGMA wal_checkpoint(${mode})`).get();

/**
 * Nobody waits for the first checkpoint; what was written meanwhile stays in the log, which only begins anew where
 * nothing is left in it. The first commit of a log syncs its head, with the database locked: that commit is made here.
 */
function shorten(): void {
  const found = checkpoint("PASSIVE");
  if (found !== null && found.log > longLogPages) checkpoint("RESTART");
  database.run("PRAGMA user_version = 0");
}

function obey(order: CheckpointOrder): CheckpointAnswer {
  try {
    if (order === "shorten") shorten();
    return { isBusy: order === "empty" && checkpoint("TRUNCATE")?.busy !== 0 };
  } catch (error) {
    return { message: error instanceof Error ? error.message : String(error), code: errorCode(error) };
  }
}

parentPort?.on("message", (order: CheckpointOrder) => {
  if (order === "close") {
    database.close(true);
    process.exit(0);
  }
  parentPort?.postMessage(obey(order));
});
