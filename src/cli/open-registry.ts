import { server } from "../platform/events/access-event.ts";
import { join } from "node:path";
import { accessMigrations } from "../access/migrations.ts";
import { visibilityOfNew } from "../access/rights.ts";
import { apiMigrations } from "../http/api/migrations.ts";
import { auditMigrations } from "../features/audit/migrations.ts";
import { furnisher } from "../features/descriptions/furnish.ts";
import { descriptionMigrations } from "../features/descriptions/migrations.ts";
import { usageMigrations } from "../features/usage/migrations.ts";
import { limitMigrations } from "../features/limits/migrations.ts";
import { journalMigrations } from "../features/journal/migrations.ts";
import { openFilesystemBlobStore } from "../platform/blobs/filesystem/filesystem-blob-store.ts";
import type { Config } from "../platform/config/schema.ts";
import { migrate } from "../platform/database/migrations.ts";
import { within } from "../platform/database/prepared.ts";
import { openDatabase } from "../platform/database/open-database.ts";
import { jobMigrations } from "../platform/jobs/migrations.ts";
import { registryMigrations } from "../registry/migrations.ts";
import type { Registry } from "../registry/registry.ts";
import { clockWatch } from "../registry/clock-watch.ts";
import { verifiedBytes } from "../registry/sound-blob.ts";
import { runningHashes } from "../registry/uploads/running-hashes.ts";
import { startStep } from "./start-error.ts";

/** A link to bytes lives 20 minutes; bytes go a quarter of an hour after the last one can be used. */
const deleteDelayMs = 35 * 60 * 1000;

/** A server that dies keeps its uploads from going on elsewhere for as long. */
const uploadHoldMs = 30_000;

/** The embedded database; another is named by `database.url`. */
export const databasePath = ({ data }: Config): string => join(data, "berth.sqlite");

/**
 * Opens the registry of a data folder, which is there, brought up to this build's schema.
 * @param process its name among a server's
 */
export async function openRegistry(config: Config, process: string = crypto.randomUUID()): Promise<Registry> {
  const url = config.database.url ?? `sqlite:${databasePath(config)}`;
  const setting = config.database.url === undefined ? `data: ${config.data}` : "database.url";
  const database = await startStep(setting, async () => {
    const opened = await openDatabase({ url });
    await migrate(opened, [
      jobMigrations,
      registryMigrations,
      accessMigrations,
      journalMigrations,
      limitMigrations,
      usageMigrations,
      auditMigrations,
      descriptionMigrations,
      apiMigrations,
    ]);
    return opened;
  });
  return {
    by: server,
    process,
    database,
    blobs: await startStep(`data: ${config.data}`, () => openFilesystemBlobStore(config.data, config.blobs)),
    writeRules: [],
    visibilityOfNew: (tx, name) => visibilityOfNew(within(tx, database), name),
    furnish: furnisher(database, Date.now),
    readGates: [],
    hashes: runningHashes(),
    verified: verifiedBytes(),
    clockWatch: clockWatch(),
    settings: {
      leaseMs: config.collect.leaseSeconds * 1000,
      deleteDelayMs,
      ...config.manifests,
      uploads: {
        holdMs: uploadHoldMs,
        idleMs: config.uploads.idleSeconds * 1000,
        maxBytes: config.uploads.maxBytes,
        maxSessions: config.uploads.maxSessions,
        maxSessionsPerPrincipal: config.uploads.maxSessionsPerPrincipal,
      },
    },
  };
}
