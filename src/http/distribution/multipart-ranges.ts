import { type ByteRange, lengthOf } from "../../oci/byte-range.ts";
import { chunksOf } from "../../platform/blobs/blob-body.ts";
import type { BlobStore } from "../../platform/blobs/blob-store.ts";
import type { Reply, ReplyHeaders } from "../../platform/runtime/http.ts";
import type { StoredBlob } from "../../registry/blobs.ts";

interface Parts {
  readonly about: ReplyHeaders;
  readonly ranges: readonly ByteRange[];
}

/** Several ranges in one answer, `multipart/byteranges` (RFC 9110, 14.6): what zstd:chunked pulls ask for. */
export async function multipartBody(blobs: BlobStore, blob: StoredBlob, { about, ranges }: Parts): Promise<Reply> {
  const boundary = crypto.randomUUID();
  const heads = ranges.map((range) => Buffer.from(partHead(boundary, range, blob.sizeBytes)));
  const end = Buffer.from(`\r\n--${boundary}--\r\n`);
  const length = ranges.reduce((sum, range, index) => sum + lengthOf(range) + (heads[index]?.byteLength ?? 0), 0);
  async function* chunks(): AsyncGenerator<Uint8Array> {
    for (const [index, range] of ranges.entries()) {
      yield heads[index] ?? new Uint8Array();
      const body = await blobs.open(blob.key, range);
      if (body === undefined) throw new Error(`the bytes of ${blob.digest} went away while they were read`);
      yield* chunksOf(body);
    }
    yield end;
  }
  return {
    kind: "blob",
    status: 206,
    headers: {
      ...about,
      "content-type": `multipart/byteranges; boundary=${boundary}`,
      "content-length": length + end.byteLength,
    },
    body: { kind: "stream", chunks: chunks() },
  };
}

const partHead = (boundary: string, range: ByteRange, sizeBytes: number): string =>
  `\r\n--${boundary}\r\nContent-Type: application/octet-stream\r\n` +
  `Content-Range: bytes ${range.start}-${range.end}/${sizeBytes}\r\n\r\n`;
