import { Database } from "bun:sqlite";
import { join } from "node:path";

export interface FolderLock {
  release(): void;
}

/**
 * Takes the data folder for this server. The lock is the kernel's and goes with the process, however it ends.
 * @returns undefined when another server has it
 */
export function lockDataFolder(folder: string): FolderLock | undefined {
  const database = new Database(join(folder, "lock"), { create: true });
  try {
    database.run("PRAGMA locking_mode = EXCLUSIVE");
    database.run("BEGIN EXCLUSIVE");
    return { release: () => database.close() };
  } catch (error) {
    database.close();
    if (error instanceof Error && "code" in error && error.code === "SQLITE_BUSY") return undefined;
    throw error;
  }
}
