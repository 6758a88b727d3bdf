import { afterAll, beforeAll } from "bun:test";
import { openFilesystemBlobStore } from "../../../src/platform/blobs/filesystem/filesystem-blob-store.ts";
import type { Dialect } from "../../../src/platform/database/database.ts";
import { openDatabase } from "../../../src/platform/database/open-database.ts";
import type { Registry } from "../../../src/registry/registry.ts";
import { type Registry as Client, registryOf } from "../../protocol/registry-client.ts";
import { createTestDatabase } from "../../support/databases.ts";
import { testRegistry } from "../../support/registry.ts";
import { startServer } from "../../support/server.ts";

/** One registry as two processes have it. */
export interface SharedRegistry {
  /** By its server. */
  readonly client: Client;
  /** By this process, beside the server: the same database and the same bytes. */
  readonly beside: Registry;
}

/** A server for the calling block, and its registry opened once more in this process. */
export function useSharedRegistry(dialect: Dialect, workers: number): () => SharedRegistry {
  const used = new AsyncDisposableStack();
  let shared: SharedRegistry | undefined;
  beforeAll(async () => {
    shared = await openShared(used, dialect, workers);
  }, 120_000);
  afterAll(() => used.disposeAsync());
  return () => {
    if (shared === undefined) throw new Error("the server runs only while tests run");
    return shared;
  };
}

async function openShared(used: AsyncDisposableStack, dialect: Dialect, workers: number): Promise<SharedRegistry> {
  const { url } = used.use(await createTestDatabase(dialect));
  const env = { BERTH_DATABASE_URL: url, BERTH_HTTP_WORKERS: String(workers) };
  const server = used.use(await startServer({ env }));
  const database = await openDatabase({ url });
  used.defer(() => database.close());
  const blobs = await openFilesystemBlobStore(server.data);
  return { client: registryOf(server), beside: testRegistry(database, { blobs }) };
}
