import type { KyselyPlugin } from "kysely";
import type { BlobStore } from "../../../src/platform/blobs/blob-store.ts";
import type { Piece } from "../../../src/platform/blobs/piece.ts";
import type { Database } from "../../../src/platform/database/database.ts";
import { askInOrder } from "../../../src/platform/database/postgres/ask-in-order.ts";
import type { Registry } from "../../../src/registry/registry.ts";
import { verifiedBytes } from "../../../src/registry/sound-blob.ts";

/** Where in its work a client is: what comes next, or what has just been. */
export type At = "read" | "write" | "statement" | "committed" | "store";

/** Where a client stops until it is its turn. */
export interface Turns {
  readonly turn: (at: At) => Promise<void>;
  /** A transaction ran once more, after a conflict that the database ended. */
  readonly onRetry?: () => void;
}

/**
 * The same registry as one client has it: it waits for its turn before and after each transaction, between two
 * statements wherever the database lets others go on between them, and before everything that it asks of the store.
 */
export const scheduledRegistry = (registry: Registry, turns: Turns): Registry => ({
  ...registry,
  database: scheduledDatabase(registry.database, turns),
  blobs: scheduledStore(registry.blobs, turns),
  // Whoever reads bytes shares the answer with others: they would wait without a turn.
  verified: verifiedBytes(),
});

function scheduledDatabase(database: Database, { turn, onRetry }: Turns): Database {
  const afterEach = (at: At): KyselyPlugin => ({
    transformQuery: ({ node }) => node,
    async transformResult({ result }) {
      await turn(at);
      return result;
    },
  });
  const scheduled: Database = {
    ...database,
    read: database.read.withPlugin(afterEach("read")),
    async all(query) {
      const rows = await database.all(query);
      await turn("read");
      return rows;
    },
    async write(work, options) {
      let tries = 0;
      await turn("write");
      // SQLite's one writer lets nobody in between, and may not be kept waiting.
      const written = await database.write((tx) => {
        if ((tries += 1) > 1) onRetry?.();
        return database.dialect === "sqlite" ? work(tx) : askInOrder(tx.withPlugin(afterEach("statement")), work);
      }, options);
      await turn("committed");
      return written;
    },
    writeOne: (query, options) => scheduled.write(async (tx) => (await tx.executeQuery(query)).rows, options),
  };
  return scheduled;
}

function scheduledStore(blobs: BlobStore, { turn }: Turns): BlobStore {
  const atItsTurn =
    <A extends readonly unknown[], R>(action: (...given: A) => Promise<R>) =>
    async (...given: A): Promise<R> => {
      await turn("store");
      return action(...given);
    };
  return {
    ...pausedBodies(blobs, turn),
    finish: atItsTurn(blobs.finish),
    finishAsIs: atItsTurn(blobs.finishAsIs),
    cancel: atItsTurn(blobs.cancel),
    open: atItsTurn(blobs.open),
    delete: atItsTurn(blobs.delete),
    stat: atItsTurn(blobs.stat),
    holds: atItsTurn(blobs.holds),
  };
}

/** The same store, that waits for a turn before it takes each piece of a body. */
export const pausedBodies = (blobs: BlobStore, turn: Turns["turn"]): BlobStore => ({
  ...blobs,
  append(upload, offset, given) {
    async function* pieces(): AsyncGenerator<Piece> {
      const source = given[Symbol.asyncIterator]();
      for (;;) {
        await turn("store");
        const next = await source.next();
        if (next.done === true) return;
        yield next.value;
      }
    }
    return blobs.append(upload, offset, pieces());
  },
});
