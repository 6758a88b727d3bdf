import { open } from "node:fs/promises";
import type { BlobBody } from "./blob-store.ts";

const readBytes = 256 * 1024;

/** The bytes of a body for those who must look at them: hashing again, several ranges in one answer. */
export function chunksOf(body: BlobBody): AsyncIterable<Uint8Array> {
  return body.kind === "stream" ? body.chunks : readFile(body);
}

/** Closes the file with its last byte, and with a reader who stops before. */
async function* readFile({ path, range }: BlobBody & { readonly kind: "file" }): AsyncGenerator<Uint8Array> {
  const file = await open(path, "r");
  try {
    const end = range === undefined ? Infinity : range.end + 1;
    for (let position = range?.start ?? 0; position < end;) {
      const { bytesRead, buffer } = await file.read({
        buffer: Buffer.allocUnsafeSlow(Math.min(readBytes, end - position)),
        position,
      });
      if (bytesRead === 0) return;
      yield buffer.subarray(0, bytesRead);
      position += bytesRead;
    }
  } finally {
    await file.close();
  }
}
