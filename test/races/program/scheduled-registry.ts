import type { KyselyPlugin } from "kysely";
import type { BlobStore } from "../../../src/platform/blobs/blob-store.ts";
import type { Database } from "../../../src/platform/database/database.ts";
import type { Registry } from "../../../src/registry/registry.ts";

/** Where a client stops until it is its turn. */
export interface Turns {
  readonly turn: () => Promise<void>;
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
});

function scheduledDatabase(database: Database, { turn, onRetry }: Turns): Database {
  const afterEach: KyselyPlugin = {
    transformQuery: ({ node }) => node,
    async transformResult({ result }) {
      await turn();
      return result;
    },
  };
  return {
    ...database,
    read: database.read.withPlugin(afterEach),
    async write(work) {
      let tries = 0;
      await turn();
      // SQLite's one writer lets nobody in between, and may not be kept waiting.
      const written = await database.write((tx) => {
        if ((tries += 1) > 1) onRetry?.();
        return work(database.dialect === "sqlite" ? tx : tx.withPlugin(afterEach));
      });
      await turn();
      return written;
    },
  };
}

function scheduledStore(blobs: BlobStore, { turn }: Turns): BlobStore {
  const atItsTurn =
    <A extends readonly unknown[], R>(action: (...given: A) => Promise<R>) =>
    async (...given: A): Promise<R> => {
      await turn();
      return action(...given);
    };
  async function* pieces(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    for await (const chunk of chunks) {
      await turn();
      yield chunk;
    }
  }
  return {
    ...blobs,
    append: (upload, offset, chunks) => blobs.append(upload, offset, pieces(chunks)),
    finish: atItsTurn(blobs.finish),
    cancel: atItsTurn(blobs.cancel),
    open: atItsTurn(blobs.open),
    delete: atItsTurn(blobs.delete),
  };
}
