import type { BlobKey, Upload } from "../../platform/blobs/blob-store.ts";
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

/**
 * Removes finished bytes whose row was lost with the power, and whose session was as well. Those of which a row was
 * ever told stay, whatever the database says today: it may be an older copy. Looks at every file, so once a start.
 * @returns how many
 */
export async function sweepFinished({ blobs, database }: Registry): Promise<number> {
  let swept = 0;
  const sweep = async (keys: readonly BlobKey[]): Promise<void> => {
    const unknown = await unknownKeys(database, keys);
    await blobs.delete(unknown);
    swept += unknown.length;
  };
  let page: BlobKey[] = [];
  for await (const key of blobs.unsettled()) {
    page.push(key);
    if (page.length === 200) await sweep(page.splice(0));
  }
  await sweep(page);
  return swept;
}
