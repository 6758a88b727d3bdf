import { mkdir } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { syncFolder } from "../storage/sync-folder.ts";

/**
 * Makes the data folder where it is missing, with all that is missing above it. Each new folder's name is durable when
 * this resolves: without it a power loss would take everything inside along.
 */
export async function makeDataFolder(path: string): Promise<void> {
  const folder = resolve(path);
  const topmost = await mkdir(folder, { recursive: true, mode: 0o750 });
  if (topmost === undefined) return;
  for (let made = folder; ; made = dirname(made)) {
    await syncFolder(dirname(made));
    if (made === topmost) return;
  }
}
