import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";

/** The size of all files under the data folder, the database's write-ahead log left out. */
export async function storedBytes(data: string): Promise<number> {
  let sum = 0;
  for (const entry of await readdir(data, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile() || entry.name.endsWith("-wal")) continue;
    // A file may go while the folder is walked.
    sum += await stat(join(entry.parentPath, entry.name)).then(
      ({ size }) => size,
      () => 0,
    );
  }
  return sum;
}
