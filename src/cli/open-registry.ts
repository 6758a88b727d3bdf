import { join } from "node:path";
import { accessMigrations } from "../access/migrations.ts";
import { openFilesystemBlobStore } from "../platform/blobs/filesystem/filesystem-blob-store.ts";
import type { Config } from "../platform/config/schema.ts";
import { makeDataFolder } from "../platform/data-folder/make-data-folder.ts";
import { migrate } from "../platform/database/migrations.ts";
import { openDatabase } from "../platform/database/open-database.ts";
import { registryMigrations } from "../registry/migrations.ts";
import type { Registry } from "../registry/registry.ts";
import { runningHashes } from "../registry/uploads/running-hashes.ts";

/** A link to bytes lives 20 minutes; bytes go a quarter of an hour after the last one can be used. */
const deleteDelayMs = 35 * 60 * 1000;

/** Opens the data folder's registry, brought up to this build's schema. */
export async function openRegistry(config: Config): Promise<Registry> {
  await makeDataFolder(config.data);
  const url = config.database.url ?? `sqlite:${join(config.data, "berth.sqlite")}`;
  const database = await openDatabase({ url });
  await migrate(database, [registryMigrations, accessMigrations]);
  return {
    database,
    blobs: await openFilesystemBlobStore(config.data),
    writeRules: [],
    readGates: [],
    hashes: runningHashes(),
    settings: {
      leaseMs: config.collect.leaseSeconds * 1000,
      deleteDelayMs,
      ...config.manifests,
      uploads: {
        idleMs: config.uploads.idleSeconds * 1000,
        maxBytes: config.uploads.maxBytes,
        maxSessions: config.uploads.maxSessions,
        maxSessionsPerPrincipal: config.uploads.maxSessionsPerPrincipal,
      },
    },
  };
}
