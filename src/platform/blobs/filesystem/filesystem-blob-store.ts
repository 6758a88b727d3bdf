import { type Stats, statSync } from "node:fs";
import { chmod, mkdir, opendir, readdir, rename, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import {
  type BlobKey,
  type BlobStat,
  type BlobStore,
  newBlobKey,
  parseBlobKey,
  UploadLostError,
  type UploadState,
} from "../blob-store.ts";
import { syncFolder } from "../../storage/sync-folder.ts";
import { remove, unlessAbsent } from "./absent-files.ts";
import { appender, openAt } from "./append-upload.ts";
import { openFilesystemDocuments } from "./filesystem-documents.ts";
import { type Lanes, openLanes } from "./lanes.ts";
import { type Paths, pathsIn, unsettledMode } from "./paths.ts";
import { type Room, watchRoom } from "./room.ts";
import { sizesToSend } from "./sizes-to-send.ts";
import { watchSyncs } from "./sync-health.ts";
import { uploadTrust } from "./upload-trust.ts";

/**
 * Blobs as files:
 *
 *     <folder>/uploads/<key>       unfinished; bytes beyond the database's offset do not count
 *     <folder>/blobs/<kk>/<key>    finished and never changed again; <kk> are the key's first two characters
 *
 * Durable means: fdatasync of the file, then rename, then fsync of the folder that the rename changed. The 256 folders
 * are made once, when the store is first opened. A file that the group may not read is one of which it is not known
 * whether a row names it.
 */
export async function openFilesystemBlobStore(
  folder: string,
  { reserveBytes }: { readonly reserveBytes?: number | undefined } = {},
): Promise<BlobStore> {
  await makeFolders(folder);
  const documents = await openFilesystemDocuments(folder);
  const paths = pathsIn(folder);
  const room = watchRoom(folder, reserveBytes);
  return {
    begin: async () => ({ key: newBlobKey(), state: noState }),
    ...writeSide(paths, { folder, room, lanes: openLanes(writersAtOnce, turnLimitMs) }),
    ...readSide(paths, sizesToSend(look)),
    ...settling(paths),
    documents,
    requireRoom: () => room.take(0),
    room: () => room.look(),
  };
}

/**
 * At most as many threads of the process wait for a disk that takes no writes: the rest goes on reading. A write that
 * has no turn for so long is refused.
 */
const writersAtOnce = 6;
const turnLimitMs = 20_000;

interface Disk {
  readonly folder: string;
  readonly room: Room;
  readonly lanes: Lanes;
}

function writeSide(
  paths: Paths,
  { folder, room, lanes }: Disk,
): Pick<BlobStore, "append" | "finish" | "finishAsIs" | "cancel" | "delete"> {
  const trust = uploadTrust(watchSyncs(folder));
  const syncName = (key: BlobKey): Promise<void> => trust.sync(key, () => syncFolder(paths.shard(key)));
  return {
    append: appender(paths, { room, lanes, trust }),

    async finish({ key }, sizeBytes) {
      return lanes.run(async () => {
        await trust.require(key);
        const version = await nameWhole(paths, { key, sizeBytes }, (work) => trust.sync(key, work));
        await syncName(key);
        return { key, sizeBytes, version };
      });
    },

    async finishAsIs({ key }, sizeBytes) {
      return lanes.run(async () => {
        await trust.require(key);
        const path = paths.blob(key);
        if (!(await isRenamed(paths.upload(key), path))) return undefined;
        const found = namedFile(path);
        if (found?.size !== sizeBytes) return undefined;
        await syncName(key);
        return { key, sizeBytes, version: versionOf(found) };
      });
    },

    async cancel({ key }) {
      await lanes.run(async () => {
        if (await remove(paths.upload(key))) await syncFolder(paths.uploads);
      });
      trust.forget(key);
    },

    async delete(keys) {
      const changed = new Set<string>();
      for (const key of keys) if (await lanes.run(() => remove(paths.blob(key)))) changed.add(paths.shard(key));
      // What is told to be gone must not come back with the next power loss: nobody would know of it any more.
      for (const shard of changed) await lanes.run(() => syncFolder(shard));
    },
  };
}

type Sync = (work: () => Promise<void>) => Promise<void>;

/** Gives so many bytes of an upload their name. @returns the file's version */
async function nameWhole(paths: Paths, { key, sizeBytes }: BlobStat, sync: Sync): Promise<string> {
  const [from, to] = [paths.upload(key), paths.blob(key)];
  await giveName(from, to);
  const found = namedFile(to);
  if (found?.size === sizeBytes) return versionOf(found);
  await unlessAbsent(rename(to, from));
  const version = await cutTo({ path: from, found, sizeBytes }, sync);
  await rename(from, to);
  return version;
}

/** The file is at hand, as its name was just given: to look at it takes 3 µs, and 130 by way of a thread. */
const namedFile = (path: string): Stats | undefined => statSync(path, { throwIfNoEntry: false });

/** An earlier finish may have failed at its sync, which a second one does not make good: the name is made anew. */
async function giveName(from: string, to: string): Promise<void> {
  if (await isRenamed(from, to)) return;
  if (!(await isRenamed(to, from)) && (await unlessAbsent(stat(from))) === undefined) {
    throw new UploadLostError("no bytes of the upload are left");
  }
  await rename(from, to);
}

const isRenamed = async (from: string, to: string): Promise<boolean> =>
  (await unlessAbsent(rename(from, to).then(() => true))) ?? false;

const readSide = (
  paths: Paths,
  sizeToSend: ReturnType<typeof sizesToSend>,
): Pick<BlobStore, "open" | "stat" | "list" | "unfinished"> => ({
  async open(key, range) {
    const path = paths.blob(key);
    const blobBytes = await sizeToSend(path);
    return blobBytes === undefined ? undefined : { kind: "file", path, range, blobBytes };
  },
  async stat(key) {
    const file = await look(paths.blob(key));
    return file && { sizeBytes: file.size, version: versionOf(file) };
  },
  list: (after) => listBlobs(paths.shards, after),
  async *unfinished() {
    for await (const key of listKeys(paths.uploads)) yield { key, state: noState };
  },
});

const settledMode = 0o640;

/** What is known of an upload's file beside its bytes is how many there are, and by its mode whether a row names it. */
const settling = (paths: Paths): Pick<BlobStore, "holds" | "settle" | "unsettled"> => ({
  async holds({ key }, sizeBytes) {
    // The first once more: a finish may just have been taken back.
    for (const path of [paths.upload(key), paths.blob(key), paths.upload(key)]) {
      const file = await unlessAbsent(stat(path));
      if (file !== undefined) return file.size >= sizeBytes;
    }
    return false;
  },
  async settle(key) {
    await unlessAbsent(chmod(paths.blob(key), settledMode));
  },
  async *unsettled() {
    for await (const { key, mode } of walkBlobs(paths.shards, undefined)) {
      if ((mode & 0o777) === unsettledMode) yield key;
    }
  },
});

/** A file needs no memory beside its bytes. */
// oxlint-disable-next-line typescript/no-unsafe-type-assertion
const noState = "" as UploadState;

async function makeFolders(folder: string): Promise<void> {
  const shards = join(folder, "blobs");
  await mkdir(join(folder, "uploads"), { recursive: true });
  await mkdir(shards, { recursive: true });
  const present = new Set(await readdir(shards));
  const names = Array.from({ length: 256 }, (_, index) => index.toString(16).padStart(2, "0"));
  const missing = names.filter((name) => !present.has(name));
  if (missing.length === 0) return;
  for (const name of missing) await mkdir(join(shards, name), { recursive: true });
  await syncFolder(shards);
  await syncFolder(folder);
}

/** Whoever changes a file's bytes changes this; a new name does not. */
const versionOf = ({ ino, mtimeMs }: Stats): string => `${ino}.${mtimeMs}`;

/**
 * What came in behind the last acknowledged byte is no part of the blob.
 * @returns the file's version
 */
async function cutTo(
  { path, found, sizeBytes }: { readonly path: string; readonly found: Stats | undefined; readonly sizeBytes: number },
  sync: Sync,
): Promise<string> {
  if (found === undefined || found.size < sizeBytes) {
    throw new UploadLostError(`the upload has ${found?.size ?? 0} bytes where ${sizeBytes} were acknowledged`);
  }
  if (found.size === sizeBytes) return versionOf(found);
  const file = await openAt(path, sizeBytes);
  if (file === undefined) throw new UploadLostError("no bytes of the upload are left");
  try {
    await sync(() => file.datasync());
    return versionOf(await file.stat());
  } finally {
    await file.close();
  }
}

async function* listBlobs(shards: string, after: BlobKey | undefined): AsyncGenerator<BlobStat> {
  for await (const { key, sizeBytes } of walkBlobs(shards, after)) yield { key, sizeBytes };
}

async function* walkBlobs(
  shards: string,
  after: BlobKey | undefined,
): AsyncGenerator<BlobStat & { readonly mode: number }> {
  const folders = (await readdir(shards)).toSorted();
  for (const shard of folders) {
    if (after !== undefined && shard < after.slice(0, 2)) continue;
    const keys = (await Array.fromAsync(listKeys(join(shards, shard)))).filter(
      (key) => after === undefined || key > after,
    );
    for (const key of keys.toSorted()) {
      const file = await unlessAbsent(stat(join(shards, shard, key)));
      if (file !== undefined) yield { key, sizeBytes: file.size, mode: file.mode };
    }
  }
}

async function* listKeys(folder: string): AsyncGenerator<BlobKey> {
  for await (const entry of await opendir(folder)) {
    const key = parseBlobKey(entry.name);
    if (key !== undefined) yield key;
  }
}

/** A file that is gone is damage to one blob; where its folder is gone too, the storage is not there. */
async function look(path: string): Promise<Stats | undefined> {
  const file = await unlessAbsent(stat(path));
  if (file === undefined) {
    await stat(dirname(path)).catch((error: unknown) => {
      throw Object.assign(new Error(`the store's folder is gone: ${dirname(path)}`, { cause: error }), { code: "EIO" });
    });
  }
  return file;
}
