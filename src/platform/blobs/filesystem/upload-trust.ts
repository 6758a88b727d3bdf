import { type BlobKey, UploadLostError } from "../blob-store.ts";
import type { SyncHealth } from "./sync-health.ts";

/** Which uploads' bytes can be counted on. */
export interface UploadTrust {
  /** @throws UploadLostError with the sync's own error as its cause */
  sync<T>(key: BlobKey, work: () => Promise<T>): Promise<T>;
  /** @throws UploadLostError where a sync of this upload failed before, or an error while the store takes nothing */
  require(key: BlobKey): Promise<void>;
  /** Its bytes are gone. */
  forget(key: BlobKey): void;
}

/** What a sync failed for is never trusted again, whatever a later sync says: the client begins anew, under a new key. */
export function uploadTrust(syncs: SyncHealth): UploadTrust {
  const lost = new Set<BlobKey>();
  const message = "the disk failed to keep the upload's bytes";
  return {
    async sync(key, work) {
      try {
        return await syncs.run(work);
      } catch (error) {
        lost.add(key);
        throw new UploadLostError(message, { cause: error });
      }
    },
    async require(key) {
      await syncs.require();
      if (lost.has(key)) throw new UploadLostError(message);
    },
    forget: (key) => void lost.delete(key),
  };
}
