import { constants } from "node:fs";
import { type FileHandle, link, mkdir, open, readdir, rm, stat, unlink } from "node:fs/promises";
import { join } from "node:path";
import { syncFolder } from "../../storage/sync-folder.ts";
import { type DocumentStore, DocumentUnreadableError, parseDocumentName } from "../document-store.ts";
import { type SyncHealth, watchSyncs } from "./sync-health.ts";

/** A draft of this age belongs to a process that is no more. */
const staleMs = 3_600_000;

/**
 * Documents as files:
 *
 *     <folder>/journal/<name>             written once
 *     <folder>/journal/.drafts/<random>   being written
 *
 * Durable means: fdatasync of the draft, then a link under its name, which fails where there is one, then fsync of the
 * folder. What it does to its own files says nothing of the blobs', so the health of its syncs is its own.
 */
export async function openFilesystemDocuments(parent: string): Promise<DocumentStore> {
  const folder = join(parent, "journal");
  const drafts = join(folder, ".drafts");
  if ((await mkdir(drafts, { recursive: true })) !== undefined) {
    await syncFolder(folder);
    await syncFolder(parent);
  }
  const syncs = watchSyncs(folder);
  return {
    async create(name, bytes) {
      await syncs.require();
      await removeStale(drafts);
      const [draft, path] = [join(drafts, crypto.randomUUID()), join(folder, name)];
      try {
        await writeDraft(draft, bytes, syncs);
        const isOurs = await link(draft, path).then(() => true, unlessCode("EEXIST", false));
        await syncs
          .run(() => syncFolder(folder))
          .catch(async (error: unknown) => {
            // A second sync would not make good what the first has lost: the name is made anew.
            if (isOurs) await rm(path, { force: true });
            throw error;
          });
        return isOurs;
      } finally {
        await rm(draft, { force: true });
      }
    },

    async get(name, mostBytes) {
      // Neither a pipe that nobody writes to nor a link to elsewhere is opened.
      const flags = constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOFOLLOW;
      const file = await open(join(folder, name), flags).catch(unlessCode("ENOENT", undefined)).catch(noDocument);
      if (file === undefined) return undefined;
      try {
        const { size, isFile } = await statOf(file);
        if (!isFile) throw new DocumentUnreadableError("is no file");
        if (size > mostBytes) throw new DocumentUnreadableError(`has ${size} bytes, more than ${mostBytes}`);
        return await readWhole(file, size);
      } finally {
        await file.close();
      }
    },

    list: async () => (await readdir(folder)).flatMap((name) => parseDocumentName(name) ?? []).toSorted(),

    async delete(names) {
      for (const name of names) await unlink(join(folder, name)).catch(unlessCode("ENOENT", undefined));
      if (names.length > 0) await syncFolder(folder);
    },
  };
}

const unlessCode =
  <T>(code: string, value: T) =>
  (error: unknown): T => {
    if (error instanceof Error && "code" in error && error.code === code) return value;
    throw error;
  };

/** A symbolic link, a socket, a device without a driver. */
function noDocument(error: unknown): never {
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  if (code === "ELOOP" || code === "ENXIO" || code === "ENODEV") throw new DocumentUnreadableError("is no file");
  throw error;
}

async function statOf(file: FileHandle): Promise<{ readonly size: number; readonly isFile: boolean }> {
  const found = await file.stat();
  return { size: found.size, isFile: found.isFile() };
}

async function writeDraft(path: string, bytes: Uint8Array, syncs: SyncHealth): Promise<void> {
  const file = await open(path, "wx", 0o640);
  try {
    await file.writeFile(bytes);
    await syncs.run(() => file.datasync());
  } finally {
    await file.close();
  }
}

async function readWhole(file: FileHandle, size: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(size);
  for (let read = 0; read < size;) {
    const { bytesRead } = await file.read(bytes, read, size - read, read);
    if (bytesRead === 0) return bytes.subarray(0, read);
    read += bytesRead;
  }
  return bytes;
}

async function removeStale(drafts: string): Promise<void> {
  for (const name of await readdir(drafts)) {
    const path = join(drafts, name);
    const found = await stat(path).catch(unlessCode("ENOENT", undefined));
    if (found !== undefined && Date.now() - found.mtimeMs > staleMs) await rm(path, { force: true, recursive: true });
  }
}
