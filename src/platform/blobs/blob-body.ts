import { createReadStream } from "node:fs";
import type { BlobBody } from "./blob-store.ts";

const readBytes = 256 * 1024;

/** The bytes of a body for those who must look at them: hashing again, several ranges in one answer. */
export function chunksOf(body: BlobBody): AsyncIterable<Uint8Array> {
  if (body.kind === "stream") return body.chunks;
  return createReadStream(body.path, { ...body.range, highWaterMark: readBytes });
}
