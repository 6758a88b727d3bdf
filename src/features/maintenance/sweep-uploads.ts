import type { Upload } from "../../platform/blobs/blob-store.ts";
import { inChunks } from "../../platform/database/in-chunks.ts";
import type { Registry } from "../../registry/registry.ts";
import { unknownKeys } from "./unknown-keys.ts";

/**
 * Removes the bytes of uploads that are over: a process that ends between the row's end and the bytes' leaves them to
 * nobody. A session has its row before its first byte, so bytes without one are no upload that just begins.
 * @returns how many
 */
export async function sweepUploads({ blobs, database }: Registry): Promise<number> {
  const uploads: readonly Upload[] = await Array.fromAsync(blobs.unfinished());
  let swept = 0;
  for (const some of inChunks(uploads)) {
    const unknown = new Set(
      await unknownKeys(
        database,
        some.map(({ key }) => key),
      ),
    );
    for (const upload of some.filter(({ key }) => unknown.has(key))) {
      await blobs.cancel(upload);
      swept += 1;
    }
  }
  return swept;
}
