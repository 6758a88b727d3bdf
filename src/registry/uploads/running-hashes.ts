import { createHash, type Hash } from "node:crypto";
import { type Digest, type DigestAlgorithm, parseDigest } from "../../oci/digest.ts";
import type { Upload } from "../../platform/blobs/blob-store.ts";
import { recent } from "../../platform/caches/recent.ts";

/** The hash of an upload's first `sizeBytes` bytes, ready for the next one. */
export interface RunningHash {
  readonly algorithm: DigestAlgorithm;
  readonly update: (chunk: Uint8Array) => void;
  /** Digest of the bytes so far; more may follow. */
  readonly digest: () => Digest;
}

export function startHash(algorithm: DigestAlgorithm): RunningHash {
  const hash: Hash = createHash(algorithm);
  return {
    algorithm,
    update: (chunk) => void hash.update(chunk),
    digest() {
      const digest = parseDigest(`${algorithm}:${hash.copy().digest("hex")}`);
      if (digest === undefined) throw new Error(`${algorithm} made a digest that is none`);
      return digest;
    },
  };
}

/** An upload as a request left it, which others may have changed since. */
export interface LeftUpload {
  readonly repository: string;
  readonly principal: string;
  readonly upload: Upload;
  readonly sizeBytes: number;
  readonly digest: Digest | undefined;
  /** The row's; it has another whenever anyone has touched the session. */
  readonly activeAt: number;
}

interface KeptHash {
  readonly sizeBytes: number;
  readonly hash: RunningHash;
  readonly left?: LeftUpload;
}

/** Hashes of uploads between two of their requests: without its hash an upload is read once more at its end. */
export interface RunningHashes {
  /** The hash that stands at `sizeBytes`, no longer kept; a new one at 0. */
  take(id: string, sizeBytes: number, algorithm: DigestAlgorithm): RunningHash | undefined;
  keep(id: string, kept: KeptHash): void;
  /** How the upload was left, if that is still known; told once, so that no two requests go by it at the same time. */
  takeLeft(id: string): LeftUpload | undefined;
  /** Of an upload that goes on no more. */
  drop(id: string): void;
}

/** An upload takes a moment from one request to the next; of those that are given up, each hash takes 2 KB. */
const [most, keptMs] = [1000, 60_000];

export function runningHashes(): RunningHashes {
  const kept = recent<KeptHash>({ most, forMs: keptMs });
  return {
    take(id, sizeBytes, algorithm) {
      const entry = kept.get(id);
      kept.delete(id);
      if (sizeBytes === 0) return startHash(algorithm);
      return entry?.sizeBytes === sizeBytes ? entry.hash : undefined;
    },
    keep: (id, one) => kept.set(id, one),
    takeLeft(id) {
      const entry = kept.get(id);
      if (entry?.left === undefined) return undefined;
      const { sizeBytes, hash, left } = entry;
      kept.set(id, { sizeBytes, hash });
      return left;
    },
    drop: (id) => kept.delete(id),
  };
}
