import type { BlobStat } from "../../platform/blobs/blob-store.ts";
import type { Registry } from "../../registry/registry.ts";
import type { RebuildFinding } from "./rebuild-finding.ts";

const rowsInPage = 500;

type Lost = Extract<RebuildFinding, { readonly kind: "missing-bytes" | "wrong-size" }>;

/** Blobs whose bytes the store does not have, or not as many as belong there. Both are walked once, by key. */
export async function missingBlobs({ database, blobs }: Registry): Promise<readonly Lost[]> {
  const lost: Lost[] = [];
  const stored = blobs.list()[Symbol.asyncIterator]();
  let next = await stored.next();
  const find = async (key: string): Promise<BlobStat | undefined> => {
    while (next.done !== true && next.value.key < key) next = await stored.next();
    return next.done !== true && next.value.key === key ? next.value : undefined;
  };
  for (let after = ""; ;) {
    const rows = await database.read
      .selectFrom("blobs")
      .selectAll()
      .where("blob_key", ">", after)
      .orderBy("blob_key")
      .limit(rowsInPage)
      .execute();
    for (const { digest, blob_key: key, size_bytes: expectedBytes } of rows) {
      const found = await find(key);
      if (found === undefined) lost.push({ kind: "missing-bytes", digest, key });
      else if (found.sizeBytes !== expectedBytes) {
        lost.push({ kind: "wrong-size", digest, key, expectedBytes, foundBytes: found.sizeBytes });
      }
    }
    const last = rows.at(-1);
    if (last === undefined) return lost;
    after = last.blob_key;
  }
}
