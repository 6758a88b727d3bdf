import type { BlobStore } from "./blob-store.ts";

/** Called when an action has ended, well or not. */
export type OnAction = (action: string, seconds: number) => void;

/** The same store, each of its actions timed. */
export function measuredBlobStore(store: BlobStore, onAction: OnAction): BlobStore {
  const timed = async <T>(action: string, work: () => Promise<T>): Promise<T> => {
    const started = performance.now();
    try {
      return await work();
    } finally {
      onAction(action, (performance.now() - started) / 1000);
    }
  };
  const { presign, requireRoom, room } = store;
  return {
    begin: () => store.begin(),
    append: (...given) => timed("append", () => store.append(...given)),
    finish: (...given) => timed("finish", () => store.finish(...given)),
    finishAsIs: (...given) => timed("finish", () => store.finishAsIs(...given)),
    holds: (...given) => timed("holds", () => store.holds(...given)),
    settle: (key) => timed("settle", () => store.settle(key)),
    unsettled: () => store.unsettled(),
    cancel: (upload) => timed("cancel", () => store.cancel(upload)),
    open: (...given) => timed("open", () => store.open(...given)),
    stat: (key) => store.stat(key),
    delete: (keys) => timed("delete", () => store.delete(keys)),
    list: (after) => store.list(after),
    unfinished: () => store.unfinished(),
    documents: store.documents,
    ...(presign && { presign }),
    ...(requireRoom && { requireRoom }),
    ...(room && { room }),
  };
}
