import { Worker } from "node:worker_threads";
import type { Execute, StatementResult } from "./sqlite-dialect.ts";
import { type Answer, type Order, SqliteError } from "./writer-protocol.ts";

/** What is asked for in one turn goes in one message; where one fails, those behind it in the message are not run. */
export interface WriterConnection {
  readonly execute: Execute;
  close(): Promise<void>;
}

/** Opens the writing connection in its thread; resolves when the database is open and in WAL mode. */
export async function openWriterConnection(path: string): Promise<WriterConnection> {
  const worker = new Worker(new URL("./writer-thread.ts", import.meta.url), { workerData: path });
  const waiting = new Map<number, PromiseWithResolvers<StatementResult>>();
  let nextId = 0;
  let failure: Error | undefined;
  const expect = (): { readonly id: number; readonly answer: Promise<StatementResult> } => {
    const deferred = Promise.withResolvers<StatementResult>();
    const id = nextId++;
    waiting.set(id, deferred);
    return { id, answer: deferred.promise };
  };
  const failAll = (error: Error): void => {
    failure ??= error;
    for (const { reject } of waiting.values()) reject(failure);
    waiting.clear();
  };
  worker.on("message", (answers: readonly Answer[]) => {
    for (const answer of answers) {
      const deferred = waiting.get(answer.id);
      waiting.delete(answer.id);
      if ("message" in answer) deferred?.reject(new SqliteError(answer.message, answer));
      else deferred?.resolve(answer);
    }
  });
  let asked: Order[] = [];
  const send = (): void => {
    if (asked.length > 0) worker.postMessage(asked);
    asked = [];
  };
  worker.on("error", (error) => failAll(new Error(`cannot open or write the database ${path}`, { cause: error })));
  const exited = new Promise<void>((resolve) => {
    worker.on("exit", () => {
      failAll(new Error("the database is closed"));
      resolve();
    });
  });
  await expect().answer;
  return {
    execute({ sql, parameters, first = [] }) {
      if (failure !== undefined) return Promise.reject(failure);
      const { id, answer } = expect();
      if (asked.push({ id, sql, parameters, first }) === 1) queueMicrotask(send);
      return answer;
    },
    async close() {
      send();
      worker.postMessage([{ id: -1, sql: "close", parameters: [], first: [] }] satisfies readonly Order[]);
      await exited;
    },
  };
}
