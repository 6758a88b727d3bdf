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

/** @param blockBytes of a body that is longer than memory should be: the bytes are then repeated */
export function makeBody(sizeBytes: number, blockBytes = sizeBytes): Body {
  const bulk = Buffer.allocUnsafe(blockBytes - tailBytes);
  for (let at = 0; at < bulk.length; at += 256 << 20) {
    randomFillSync(bulk, at, Math.min(256 << 20, bulk.length - at));
  }
  const times = Math.max(1, Math.floor(sizeBytes / blockBytes));
  const hash = createHash("sha256");
  for (let time = 0; time < times; time++) hash.update(bulk);
  let framed: Buffer | undefined;
  const repeated = (bytes: Buffer): readonly Buffer[] => Array.from({ length: times }, () => bytes);
  return {
    sizeBytes: bulk.length * times + tailBytes,
    next() {
      const tail = randomBytes(tailBytes);
      return {
        digest: digestFrom(hash.copy().update(tail)),
        whole: [...repeated(bulk), tail],
        get chunked() {
          framed ??= frame(bulk);
          return [...repeated(framed), frame(tail), Buffer.from("0\r\n\r\n")];
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
