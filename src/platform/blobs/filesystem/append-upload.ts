import { constants } from "node:fs";
import { type FileHandle, open, rename } from "node:fs/promises";
import { type BlobKey, type BlobStore, UploadLostError } from "../blob-store.ts";
import { letGo } from "../let-go.ts";
import type { Piece } from "../piece.ts";
import { remove, unlessAbsent } from "./absent-files.ts";
import { beginBody, refusalOf, writeNew } from "./whole-body.ts";
import type { Lanes } from "./lanes.ts";
import { type Paths, unsettledMode } from "./paths.ts";
import type { Room } from "./room.ts";
import type { UploadTrust } from "./upload-trust.ts";
import { writeAll } from "./write-all.ts";

interface Disk {
  readonly room: Room;
  readonly lanes: Lanes;
  readonly trust: UploadTrust;
}

export function appender(paths: Paths, { room, lanes, trust }: Disk): BlobStore["append"] {
  const ahead = oneAtATime();

  /** @returns the size behind them */
  const appendPieces = async (key: BlobKey, offset: number, pieces: AsyncIterable<Piece>): Promise<number> => {
    const file = await lanes.run(() => openUpload(paths, key, offset));
    try {
      const sync = (): Promise<void> => trust.sync(key, () => file.datasync());
      const size = await writeAll({ file, offset, room, lanes, syncAhead: () => ahead(sync) }, pieces);
      await lanes.run(sync);
      return size;
    } catch (error) {
      // What nobody acknowledged goes at once: on a full disk it would be the room that the database needs.
      await Promise.allSettled([lanes.run(() => file.truncate(offset))]);
      throw error;
    } finally {
      await file.close();
    }
  };

  const writeWhole = async (key: BlobKey, bytes: Uint8Array): Promise<number> => {
    const path = paths.upload(key);
    const { byteLength } = bytes;
    await room.take(byteLength);
    const refusal = await lanes.run(() => trust.sync(key, () => refusalOf(writeNew(path, bytes, unsettledMode))));
    if (refusal === undefined) {
      letGo(bytes);
      return byteLength;
    }
    if (refusal.code === "EEXIST") return appendPieces(key, 0, onlyPiece(bytes));
    await Promise.allSettled([lanes.run(() => remove(path))]);
    throw refusal;
  };

  return async ({ key, state }, offset, pieces) => {
    await lanes.run(() => trust.require(key));
    await room.take(0);
    if (offset > 0) return { state, size: await appendPieces(key, offset, pieces) };
    const body = await beginBody(pieces);
    const size = await (body.kind === "whole"
      ? writeWhole(key, body.bytes)
      : appendPieces(key, 0, body.pieces).finally(body.drop));
    return { state, size };
  };
}

async function* onlyPiece(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

/** Does nothing while another runs: a disk that hangs gets no more than one thread. */
function oneAtATime(): (work: () => Promise<void>) => Promise<void> {
  let isRunning = false;
  return async (work) => {
    if (isRunning) return;
    isRunning = true;
    await work().finally(() => (isRunning = false));
  };
}

async function openUpload(paths: Paths, key: BlobKey, offset: number): Promise<FileHandle> {
  const path = paths.upload(key);
  if (offset === 0) {
    const file = await unlessAbsent(
      open(path, constants.O_RDWR | constants.O_CREAT | constants.O_TRUNC, unsettledMode),
    );
    return file ?? failLost();
  }
  const file = await openAt(path, offset);
  if (file !== undefined) return file;
  // The process may have ended between a finish and the commit that it was for.
  await unlessAbsent(rename(paths.blob(key), path));
  return (await openAt(path, offset)) ?? failLost();
}

function failLost(): never {
  throw new UploadLostError("no bytes of the upload are left");
}

/** The file, cut back to `offset`; `undefined` where there is none. */
export async function openAt(path: string, offset: number): Promise<FileHandle | undefined> {
  const file = await unlessAbsent(open(path, constants.O_RDWR));
  if (file === undefined) return undefined;
  try {
    const { size } = await file.stat();
    if (size < offset) throw new UploadLostError(`the upload has ${size} bytes where ${offset} were acknowledged`);
    if (size > offset) await file.truncate(offset);
    return file;
  } catch (error) {
    await file.close();
    throw error;
  }
}
