import { chunksIn } from "../piece.ts";
import { type BlobKey, type BlobStore, newBlobKey, UploadLostError, type UploadState } from "../blob-store.ts";
import { memoryDocuments } from "./memory-documents.ts";

// oxlint-disable-next-line typescript/no-unsafe-type-assertion
const noState = "" as UploadState;

/** Blobs in memory, gone with the process: for tests of what stands above a store. */
export function memoryBlobStore(): BlobStore {
  const uploads = new Map<BlobKey, Uint8Array>();
  const blobs = new Map<BlobKey, Uint8Array>();
  const settled = new Set<BlobKey>();
  const finish = finisher(uploads, blobs);
  return {
    begin: async () => ({ key: newBlobKey(), state: noState }),
    async append({ key, state }, offset, pieces) {
      const before = uploads.get(key) ?? blobs.get(key) ?? new Uint8Array();
      if (before.byteLength < offset) throw new UploadLostError(`the upload has ${before.byteLength} bytes`);
      const parts: Uint8Array[] = [before.slice(0, offset)];
      for await (const piece of pieces) for (const chunk of chunksIn(piece)) parts.push(chunk.slice());
      const bytes = new Uint8Array(Buffer.concat(parts));
      uploads.set(key, bytes);
      blobs.delete(key);
      return { state, size: bytes.byteLength };
    },
    finish,
    finishAsIs: async (upload, sizeBytes) =>
      uploads.get(upload.key)?.byteLength === sizeBytes ? finish(upload, sizeBytes) : undefined,
    holds: async ({ key }, sizeBytes) => ((uploads.get(key) ?? blobs.get(key))?.byteLength ?? -1) >= sizeBytes,
    async settle(key) {
      settled.add(key);
    },
    async *unsettled() {
      yield* blobs.keys().filter((key) => !settled.has(key));
    },
    async cancel({ key }) {
      uploads.delete(key);
    },
    async open(key, range) {
      const bytes = blobs.get(key);
      if (bytes === undefined) return undefined;
      const part = range === undefined ? bytes : bytes.subarray(range.start, range.end + 1);
      return { kind: "stream", chunks: once(part), blobBytes: bytes.byteLength };
    },
    async stat(key) {
      const bytes = blobs.get(key);
      return bytes && { sizeBytes: bytes.byteLength, version: "" };
    },
    async delete(keys) {
      for (const key of keys) blobs.delete(key);
    },
    documents: memoryDocuments(),
    async *unfinished() {
      for (const key of uploads.keys()) yield { key, state: noState };
    },
    async *list(after) {
      for (const key of [...blobs.keys()].toSorted()) {
        if (after === undefined || key > after) yield { key, sizeBytes: blobs.get(key)?.byteLength ?? 0 };
      }
    },
  };
}

type Kept = Map<BlobKey, Uint8Array>;

const finisher =
  (uploads: Kept, blobs: Kept): BlobStore["finish"] =>
  async ({ key }, sizeBytes) => {
    const bytes = (uploads.get(key) ?? blobs.get(key))?.subarray(0, sizeBytes);
    if (bytes === undefined || bytes.byteLength < sizeBytes)
      throw new UploadLostError(`the bytes of upload ${key} are gone`);
    uploads.delete(key);
    blobs.set(key, bytes);
    return { key, sizeBytes: bytes.byteLength, version: "" };
  };

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes.slice();
}
