import type { BlobKey } from "../../platform/blobs/blob-store.ts";
import type { Database } from "../../platform/database/database.ts";

/** Those that the database does not know: neither a blob, nor an upload that goes on, nor bytes about to be deleted. */
export async function unknownKeys({ read }: Database, keys: readonly BlobKey[]): Promise<readonly BlobKey[]> {
  if (keys.length === 0) return [];
  // One statement, one moment: a key on its way from an upload to a blob is seen as one or the other.
  const rows = await read
    .selectFrom("blobs")
    .select("blob_key")
    .where("blob_key", "in", keys)
    .unionAll(read.selectFrom("uploads").select("blob_key").where("blob_key", "in", keys))
    .unionAll(read.selectFrom("doomed_blobs").select("blob_key").where("blob_key", "in", keys))
    .execute();
  const known = new Set(rows.map((row) => row.blob_key));
  return keys.filter((key) => !known.has(key));
}
