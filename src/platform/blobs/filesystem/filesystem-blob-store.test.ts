import { afterAll } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describeBlobStore } from "../blob-store.contract.ts";
import { openFilesystemBlobStore } from "./filesystem-blob-store.ts";

const folders: string[] = [];
afterAll(() => Promise.all(folders.map((folder) => rm(folder, { recursive: true, force: true }))));

describeBlobStore("filesystem", async () => {
  const folder = await mkdtemp(join(tmpdir(), "berth-blobs-"));
  folders.push(folder);
  return openFilesystemBlobStore(folder);
});
