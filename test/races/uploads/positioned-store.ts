import { chunksIn } from "../../../src/platform/blobs/piece.ts";
import { type BlobKey, type BlobStore, newBlobKey, UploadLostError } from "../../../src/platform/blobs/blob-store.ts";
import { memoryBlobStore } from "../../../src/platform/blobs/memory/memory-blob-store.ts";

/** A file: whoever has it open goes on writing to it at a place of its own, whatever others make of it. */
interface File {
  bytes: Buffer;
}

export interface PositionedStore extends BlobStore {
  /** The bytes under a key, finished or not. */
  peek(key: string): Buffer | undefined;
}

/** A store in memory that two writers of one upload can harm as they can harm a file; chunks are there at once. */
export function positionedStore(): PositionedStore {
  const base = memoryBlobStore();
  const [uploads, blobs] = [new Map<BlobKey, File>(), new Map<BlobKey, File>()];
  const fileOf = (key: BlobKey): File | undefined => uploads.get(key) ?? blobs.get(key);
  const openAt = (key: BlobKey, offset: number): File => {
    const file = fileOf(key) ?? (offset === 0 ? { bytes: Buffer.alloc(0) } : undefined);
    if (file === undefined || file.bytes.length < offset)
      throw new UploadLostError("fewer bytes than were acknowledged");
    file.bytes = file.bytes.subarray(0, offset);
    return file;
  };
  return {
    ...base,
    peek: (key) => fileOf(key as BlobKey)?.bytes,
    begin: async () => ({ ...(await base.begin()), key: newBlobKey() }),
    async append({ key, state }, offset, pieces) {
      const file = openAt(key, offset);
      uploads.set(key, file);
      blobs.delete(key);
      let size = offset;
      for await (const piece of pieces) {
        for (const chunk of chunksIn(piece)) {
          writeAt(file, size, chunk);
          size += chunk.byteLength;
        }
      }
      return { state, size };
    },
    async finish({ key }, sizeBytes) {
      const file = openAt(key, sizeBytes);
      uploads.delete(key);
      blobs.set(key, file);
      return { key, sizeBytes, version: "" };
    },
    async finishAsIs({ key }, sizeBytes) {
      const file = uploads.get(key);
      if (file === undefined) return undefined;
      uploads.delete(key);
      blobs.set(key, file);
      return file.bytes.length === sizeBytes ? { key, sizeBytes, version: "" } : undefined;
    },
    holds: async ({ key }, sizeBytes) => (fileOf(key)?.bytes.length ?? -1) >= sizeBytes,
    cancel: async ({ key }) => void uploads.delete(key),
    async open(key) {
      const bytes = blobs.get(key)?.bytes;
      return bytes && { kind: "stream", chunks: once(bytes), blobBytes: bytes.length };
    },
    async stat(key) {
      const bytes = blobs.get(key)?.bytes;
      return bytes && { sizeBytes: bytes.length, version: "" };
    },
    async delete(keys) {
      for (const key of keys) blobs.delete(key);
    },
  };
}

function writeAt(file: File, position: number, chunk: Uint8Array): void {
  const end = position + chunk.byteLength;
  const grown = Buffer.alloc(Math.max(file.bytes.length, end));
  file.bytes.copy(grown);
  grown.set(chunk, position);
  file.bytes = grown;
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}
