import { Database } from "bun:sqlite";
import { join } from "node:path";

export interface FolderLock {
  release(): void;
}

/** Workers of a server that was killed end by themselves, as soon as they hear of it. */
const orphansEndWithinMs = 5000;
const retryMs = 20;

/**
 * Takes the data folder for this server. The lock is the kernel's and goes with the process, however it ends.
 * @param sharing with workers of this server, which join it; then it is taken as long as one of them lives, too
 * @returns undefined when another server has it
 */
export async function lockDataFolder(folder: string, sharing = false): Promise<FolderLock | undefined> {
  const database = openLock(folder);
  try {
    for (const deadline = performance.now() + orphansEndWithinMs; !succeeds(database, "BEGIN EXCLUSIVE");) {
      // A server's lock keeps others from this, its workers' does not.
      const hasServer = !succeeds(database, "BEGIN IMMEDIATE");
      if (!hasServer) database.run("ROLLBACK");
      if (hasServer || performance.now() > deadline) return close(database);
      await Bun.sleep(retryMs);
    }
    if (sharing) {
      database.run("ROLLBACK");
      if (!succeeds(database, "BEGIN IMMEDIATE")) return close(database);
    }
    return { release: () => database.close() };
  } catch (error) {
    database.close();
    throw error;
  }
}

/** Makes this process, a worker, one of those that have the folder. @returns undefined when another server has it */
export function joinFolderLock(folder: string): FolderLock | undefined {
  const database = openLock(folder);
  if (!succeeds(database, "BEGIN; SELECT 1 FROM sqlite_schema")) return close(database);
  return { release: () => database.close() };
}

const openLock = (folder: string): Database => new Database(join(folder, "lock"), { create: true });

function close(database: Database): undefined {
  database.close();
}

function succeeds(database: Database, statement: string): boolean {
  try {
    database.run(statement);
    return true;
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "SQLITE_BUSY") return false;
    throw error;
  }
}
