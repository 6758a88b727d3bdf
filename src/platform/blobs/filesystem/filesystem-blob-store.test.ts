import { afterAll, expect, it } from "bun:test";
import { mkdtemp, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describeBlobStore } from "../blob-store.contract.ts";
import { openFilesystemBlobStore } from "./filesystem-blob-store.ts";

const folders: string[] = [];
afterAll(() => Promise.all(folders.map((folder) => rm(folder, { recursive: true, force: true }))));

async function newFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "berth-blobs-"));
  folders.push(folder);
  return folder;
}

describeBlobStore("filesystem", async () => openFilesystemBlobStore(await newFolder()));

async function* breaking(): AsyncGenerator<Uint8Array> {
  yield Buffer.from(" and room that others need");
  throw new Error("the disk is full");
}

it("gives back at once what a failed append wrote", async () => {
  const folder = await newFolder();
  const store = await openFilesystemBlobStore(folder);
  const upload = await store.begin();
  await store.append(
    upload,
    0,
    (async function* () {
      yield Buffer.from("safe");
    })(),
  );
  await Promise.allSettled([store.append(upload, 4, breaking())]);
  expect((await stat(join(folder, "uploads", upload.key))).size).toBe(4);
});
