import type { Brand } from "../../oci/brand.ts";
import type { ByteRange } from "../../oci/byte-range.ts";
import type { DocumentStore } from "./document-store.ts";
import type { Piece } from "./piece.ts";

/** Names one upload's bytes, for ever: no other upload has it, not even one of the same content. */
export type BlobKey = Brand<string, "BlobKey">;
/** What a driver has to remember of an unfinished upload; opaque to everyone else, kept in the database. */
export type UploadState = Brand<string, "UploadState">;

/** The chunks of a stream are their reader's own, and never written to again. */
export type BlobBody =
  | { readonly kind: "file"; readonly path: string; readonly range: ByteRange | undefined } // may be sent without copying
  | { readonly kind: "stream"; readonly chunks: AsyncIterable<Uint8Array> };

/** A body that the store opened, and the size of the whole blob, whatever the range. */
export type OpenedBlob = BlobBody & { readonly blobBytes: number };

/** What can be told of a blob without reading it. */
export interface BlobFacts {
  readonly sizeBytes: number;
  /** Differs where the bytes may differ from what they were; opaque to everyone but the driver. */
  readonly version: string;
}

/** An upload as the database remembers it. */
export interface Upload {
  readonly key: BlobKey;
  readonly state: UploadState;
}

export interface BlobStat {
  readonly key: BlobKey;
  readonly sizeBytes: number;
}

/** Bytes under keys of our own making. Which digest a key holds, and who may see it, is the database's business. */
export interface BlobStore {
  /** A new key that no other upload will ever have. */
  begin(): Promise<Upload>;
  /**
   * Cuts back to `offset` (bytes) if more is there, then appends. The bytes are durable when this resolves. An upload
   * that was finished is unfinished again: its finish came to nothing. The pieces are the store's from now on, which
   * may let go of their memory once they are written.
   * @throws UploadLostError when fewer than `offset` bytes are there
   */
  append(
    upload: Upload,
    offset: number,
    pieces: AsyncIterable<Piece>,
  ): Promise<{ readonly state: UploadState; readonly size: number }>;
  /**
   * Makes the first `sizeBytes` bytes readable as a whole; before it, `open` answers `undefined`. Finishing twice is
   * finishing once.
   * @throws UploadLostError when the bytes are gone
   */
  finish(upload: Upload, sizeBytes: number): Promise<BlobStat & BlobFacts>;
  /**
   * The same for who may not be the only one at it: what has not exactly so many bytes, or was finished before, is left
   * to `finish` (`undefined`). Whoever writes to it meanwhile loses nothing.
   * @throws UploadLostError where a sync failed
   */
  finishAsIs(upload: Upload, sizeBytes: number): Promise<(BlobStat & BlobFacts) | undefined>;
  /** Whether so many bytes of an upload are there, finished or not. */
  holds(upload: Upload, sizeBytes: number): Promise<boolean>;
  /**
   * To be told behind the commit of a row that names a finished key: nobody has to look for it any more. May be lost
   * with the power, and is nothing to wait for.
   */
  settle(key: BlobKey): Promise<void>;
  /** Finished keys of which that was not told, in any order: where there is no row, the process or the power ended first. */
  unsettled(): AsyncIterable<BlobKey>;
  /** Drops an unfinished upload; an absent one is success. */
  cancel(upload: Upload): Promise<void>;

  open(key: BlobKey, range?: ByteRange): Promise<OpenedBlob | undefined>;
  stat(key: BlobKey): Promise<BlobFacts | undefined>;
  /** Absent keys are success. */
  delete(keys: readonly BlobKey[]): Promise<void>;
  /** Finished keys, in the order of their names; for check, scrub and rebuild alone. */
  list(after?: BlobKey): AsyncIterable<BlobStat>;
  /** Uploads that hold bytes and are not finished, in any order; fit for `cancel` alone. */
  unfinished(): AsyncIterable<Upload>;

  readonly documents: DocumentStore;

  /**
   * Present only on drivers that run out of room. Before a push that writes elsewhere, so that it is refused as well.
   * @throws Error with a code of the system, such as ENOSPC
   */
  readonly requireRoom?: () => Promise<void>;
  /** Present only on drivers that know it. */
  readonly room?: () => Promise<{ readonly freeBytes: number; readonly reserveBytes: number }>;

  /** Present only on drivers that can hand out URLs; without it, callers send the body. */
  readonly presign?: (key: BlobKey, ttlSeconds: number) => Promise<URL>;
}

/** The bytes of an unfinished upload are not, or no longer, as many as the database says. */
export class UploadLostError extends Error {
  override readonly name = "UploadLostError";
}

const keySyntax = /^[0-9a-f]{32}$/;
const isKey = (text: string): text is BlobKey => keySyntax.test(text);

/** Random, so that nobody can guess one and no two writers ever meet. */
export function newBlobKey(): BlobKey {
  const key = crypto.randomUUID().replaceAll("-", "");
  if (!isKey(key)) throw new Error("randomUUID is no longer 32 hexadecimal digits");
  return key;
}

/** `undefined` for anything but a key; a file of another name is none of ours. */
export const parseBlobKey = (text: string): BlobKey | undefined => (isKey(text) ? text : undefined);
