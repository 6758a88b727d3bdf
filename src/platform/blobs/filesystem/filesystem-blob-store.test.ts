import { afterAll, expect, it } from "bun:test";
import { mkdir, mkdtemp, readdir, rm, stat, symlink, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { documentName } from "../document-store.contract.ts";
import { DocumentUnreadableError } from "../document-store.ts";
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

async function* once(text: string): AsyncGenerator<Uint8Array> {
  yield Buffer.from(text);
}

it("begins anew over what an attempt left that came to nothing", async () => {
  const folder = await newFolder();
  const store = await openFilesystemBlobStore(folder);
  const upload = await store.begin();
  await writeFile(join(folder, "uploads", upload.key), "longer than what comes");
  expect(await store.append(upload, 0, once("short"))).toMatchObject({ size: 5 });
  await store.finish(upload, 5);
  expect((await stat(join(folder, "blobs", upload.key.slice(0, 2), upload.key))).size).toBe(5);
});

it("gives back at once what a failed append wrote", async () => {
  const folder = await newFolder();
  const store = await openFilesystemBlobStore(folder);
  const upload = await store.begin();
  await store.append(upload, 0, once("safe"));
  await Promise.allSettled([store.append(upload, 4, breaking())]);
  expect((await stat(join(folder, "uploads", upload.key))).size).toBe(4);
});

it("hangs on nothing that bears a document's name and is none", async () => {
  const folder = await newFolder();
  const { documents } = await openFilesystemBlobStore(folder);
  const place = join(folder, "journal");
  await mkdir(join(place, "folder"));
  await symlink("/etc/passwd", join(place, "link"));
  expect(Bun.spawnSync(["mkfifo", join(place, "pipe")]).success).toBe(true);
  for (const name of ["folder", "link", "pipe"].map(documentName)) {
    const [outcome] = await Promise.allSettled([documents.get(name, 1000)]);
    expect(outcome.status === "rejected" && outcome.reason).toBeInstanceOf(DocumentUnreadableError);
    expect(await documents.create(name, Buffer.from("x"))).toBe(false);
  }
  expect((await documents.list()).map(String)).toEqual(["folder", "link", "pipe"]);
});

it("leaves no draft, and removes what a killed process left, once it is old", async () => {
  const folder = await newFolder();
  const { documents } = await openFilesystemBlobStore(folder);
  const drafts = join(folder, "journal", ".drafts");
  for (const name of ["old", "new"]) await writeFile(join(drafts, name), "half");
  await utimes(join(drafts, "old"), 1, 1);
  await documents.create(documentName("one"), Buffer.from("1"));
  expect(await readdir(drafts)).toEqual(["new"]);
  await rm(drafts, { recursive: true });
  await writeFile(drafts, "in the way");
  const [outcome] = await Promise.allSettled([documents.create(documentName("two"), Buffer.from("2"))]);
  expect(outcome.status).toBe("rejected");
  expect((await documents.list()).map(String)).toEqual(["one"]);
});
