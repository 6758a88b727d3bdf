import { open, rm } from "node:fs/promises";
import { join } from "node:path";
import { syncFolder } from "../../storage/sync-folder.ts";

export interface SyncHealth {
  /** Runs a sync. One that fails is not tried again: the kernel may have dropped what it could not write. */
  run<T>(sync: () => Promise<T>): Promise<T>;
  /**
   * To be asked before anything is written: after a failed sync the store takes nothing until a trial has gone well.
   * @throws Error the trial's, or the one that the last trial ended with
   */
  require(): Promise<void>;
}

const restMs = 250;

export function watchSyncs(folder: string): SyncHealth {
  let failure: unknown;
  let isHealthy = true;
  let triedAt = -Infinity;
  let trial: Promise<void> | undefined;
  const fail = (error: unknown): never => {
    isHealthy = false;
    failure = error;
    throw error;
  };
  const tryAgain = async (): Promise<void> => {
    triedAt = performance.now();
    try {
      await writeTrialFile(folder);
      isHealthy = true;
    } catch (error) {
      fail(error);
    } finally {
      trial = undefined;
    }
  };
  return {
    run: (sync) => sync().catch(fail),
    async require() {
      if (isHealthy) return;
      if (trial === undefined && performance.now() - triedAt < restMs) throw failure;
      trial ??= tryAgain();
      await trial;
    },
  };
}

/** All that a push does to a folder, on a file that is always the same. */
async function writeTrialFile(folder: string): Promise<void> {
  const path = join(folder, "sync-trial");
  const file = await open(path, "w", 0o600);
  try {
    await file.write("trial");
    await file.datasync();
  } finally {
    await file.close();
  }
  await rm(path);
  await syncFolder(folder);
}
