import { createHash, type Hash, randomBytes, randomFillSync } from "node:crypto";

/**
 * A body that is made before the clock starts: random bytes, of which only the last few differ from push to push, so
 * that each has a new digest which costs nothing to find.
 */
export interface Body {
  readonly sizeBytes: number;
  next(): Push;
}

export interface Push {
  readonly digest: string;
  /** As they are sent with a length. */
  readonly whole: readonly Uint8Array[];
  /** As they are sent in chunks of HTTP, which are of 32 KiB: what docker's client makes of a stream. */
  readonly chunked: readonly Uint8Array[];
}

const tailBytes = 32;
const frameBytes = 32 << 10;
/** What is held in memory of a large body, which repeats it. */
const largestBlockBytes = 64 << 20;

export function makeBody(sizeBytes: number, blockBytes = largestBlockBytes): Body {
  const bulkBytes = sizeBytes - tailBytes;
  const block = randomFillSync(Buffer.allocUnsafe(Math.min(bulkBytes, blockBytes)));
  const rest = block.subarray(0, bulkBytes % block.length);
  const repeated = (bytes: Buffer, last: Buffer): readonly Buffer[] => [
    ...Array.from({ length: Math.floor(bulkBytes / block.length) }, () => bytes),
    ...(last.length > 0 ? [last] : []),
  ];
  const bulk = repeated(block, rest);
  const hash = createHash("sha256");
  for (const part of bulk) hash.update(part);
  let framed: readonly Buffer[] | undefined;
  return {
    sizeBytes,
    next() {
      const tail = randomBytes(tailBytes);
      return {
        digest: digestFrom(hash.copy().update(tail)),
        whole: [...bulk, tail],
        get chunked() {
          framed ??= repeated(frame(block), frame(rest));
          return [...framed, frame(tail), Buffer.from("0\r\n\r\n")];
        },
      };
    },
  };
}

const digestFrom = (hash: Hash): string => `sha256:${hash.digest("hex")}`;
export const digestOf = (bytes: Uint8Array | string): string => digestFrom(createHash("sha256").update(bytes));

function frame(bytes: Buffer): Buffer {
  const parts: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += frameBytes) {
    const part = bytes.subarray(at, at + frameBytes);
    parts.push(Buffer.from(`${part.length.toString(16)}\r\n`), part, Buffer.from("\r\n"));
  }
  return Buffer.concat(parts);
}
