import { Worker } from "node:worker_threads";
import { SqliteError } from "./sqlite-error.ts";

export type CheckpointOrder = "shorten" | "empty" | "close";
export type CheckpointAnswer = { readonly isBusy: boolean } | { readonly message: string; readonly code: string };

/** Moves what is in the log into the database file, in a thread that is there from the first need on: it takes 10 MB. */
export interface Checkpointer {
  /** As much as goes while others write. @throws SqliteError */
  shorten(): Promise<void>;
  /** All of it. @throws SqliteError also where somebody reads or writes what is in the log */
  empty(): Promise<void>;
  close(): Promise<void>;
}

export function checkpointer(path: string): Checkpointer {
  let thread: Thread | undefined;
  let before: Promise<unknown> = Promise.resolve();
  const order = (what: CheckpointOrder): Promise<void> => {
    const answer = before.then(async () => {
      thread ??= startThread(path);
      await thread.obey(what);
    });
    before = answer.catch(() => undefined);
    return answer;
  };
  return {
    shorten: () => order("shorten"),
    empty: () => order("empty"),
    async close() {
      await before;
      await thread?.obey("close");
    },
  };
}

interface Thread {
  readonly obey: (order: CheckpointOrder) => Promise<void>;
}

function startThread(path: string): Thread {
  const worker = new Worker(new URL("./checkpoint-thread.ts", import.meta.url), { workerData: path });
  let waiting: PromiseWithResolvers<void> | undefined;
  let end: Error | undefined;
  worker.on("message", (answer: CheckpointAnswer) => {
    if ("message" in answer) waiting?.reject(new SqliteError(answer.message, answer.code));
    else if (answer.isBusy) waiting?.reject(new SqliteError("the database's log is in use", "SQLITE_BUSY"));
    else waiting?.resolve();
  });
  worker.on("error", (error) => {
    end = new Error(`cannot open the database ${path} once more`, { cause: error });
    waiting?.reject(end);
  });
  const exited = new Promise<void>((resolve) => {
    worker.on("exit", () => {
      end ??= new Error("the database is closed");
      waiting?.reject(end);
      resolve();
    });
  });
  return {
    async obey(order) {
      if (end !== undefined) throw end;
      waiting = Promise.withResolvers();
      worker.postMessage(order);
      // A thread that could not open the database has ended by itself.
      if (order !== "close") return waiting.promise;
      waiting.promise.catch(() => undefined);
      return exited;
    },
  };
}
