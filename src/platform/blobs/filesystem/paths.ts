import { join } from "node:path";
import type { BlobKey } from "../blob-store.ts";

/** Where the store has what. */
export interface Paths {
  readonly uploads: string;
  readonly shards: string;
  upload(key: BlobKey): string;
  shard(key: BlobKey): string;
  blob(key: BlobKey): string;
}

export function pathsIn(folder: string): Paths {
  const [uploads, shards] = [join(folder, "uploads"), join(folder, "blobs")];
  const shard = (key: BlobKey): string => join(shards, key.slice(0, 2));
  return { uploads, shards, shard, upload: (key) => join(uploads, key), blob: (key) => join(shard(key), key) };
}

/** Of a file of which it is not known whether a row names it. */
export const unsettledMode = 0o600;
