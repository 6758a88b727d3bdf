import { mkdirSync } from "node:fs";
import { mkdtemp, readdir, rm, stat, statfs, truncate, unlink } from "node:fs/promises";
import { join } from "node:path";

/** Everything that a run writes is below it, and goes with it. */
export interface Folder {
  readonly path: string;
  /** An empty folder of its own. */
  make(name: string): string;
  [Symbol.asyncDispose](): Promise<void>;
}

const neededBytes = 8e9;
const gigabytes = (bytes: number): string => (bytes / 1e9).toFixed(1);

/** @returns why there is too little room, if so */
export async function lackOfRoom(place: string, needed = neededBytes): Promise<string | undefined> {
  const { bavail, bsize } = await statfs(place);
  const free = bavail * bsize;
  if (free >= needed) return undefined;
  return `${place} has ${gigabytes(free)} GB free, and this takes up to ${gigabytes(needed)}: name another with --folder`;
}

export async function makeFolder(place: string): Promise<Folder> {
  const path = await mkdtemp(join(place, "berth-bench-"));
  let made = 0;
  return {
    path,
    make(name) {
      const folder = join(path, `${String(made++)}-${name}`);
      mkdirSync(folder);
      return folder;
    },
    [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 }),
  };
}

/**
 * Frees what large pushes left behind, under a running server: its bytes are never asked for again, since every push
 * has a new digest. So rounds of 1 GiB need the room of one.
 */
export async function freeLargeFiles(folder: string, fromBytes = 1 << 20): Promise<void> {
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile() || /sqlite|\.db/.test(entry.name)) continue;
    const path = join(entry.parentPath, entry.name);
    const size = await stat(path).then(
      (found) => found.size,
      () => 0,
    );
    if (size < fromBytes) continue;
    await (entry.name.endsWith(".log") ? truncate(path) : unlink(path));
  }
}
