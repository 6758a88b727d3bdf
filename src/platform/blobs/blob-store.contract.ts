import { describe, expect, it } from "bun:test";
import { chunksOf } from "./blob-body.ts";
import { testDocuments } from "./document-store.contract.ts";
import { type BlobBody, type BlobKey, type BlobStore, newBlobKey, type Upload, UploadLostError } from "./blob-store.ts";

async function* bytes(...texts: readonly string[]): AsyncGenerator<Uint8Array> {
  for (const text of texts) yield new TextEncoder().encode(text);
}
async function* breaking(text: string): AsyncGenerator<Uint8Array> {
  yield new TextEncoder().encode(text);
  throw new Error("the sender went away");
}
async function textOf(body: BlobBody | undefined): Promise<string | undefined> {
  if (body === undefined) return undefined;
  const parts: Uint8Array[] = [];
  for await (const chunk of chunksOf(body)) parts.push(chunk);
  return Buffer.concat(parts).toString();
}
const failureOf = async (promise: Promise<unknown>): Promise<unknown> => {
  const [result] = await Promise.allSettled([promise]);
  return result.status === "rejected" ? result.reason : undefined;
};
async function push(store: BlobStore, text: string): Promise<Upload> {
  const upload = await store.begin();
  const { state, size } = await store.append(upload, 0, bytes(text));
  await store.finish({ key: upload.key, state }, size);
  return upload;
}

/** What every driver does; a driver's own test file is one call of this. */
export const describeBlobStore = (driver: string, open: () => Promise<BlobStore>): void =>
  describe(`${driver}: BlobStore contract`, () => {
    it("shows nothing before finish, and everything after it", async () => {
      const store = await open();
      const { key, state } = await store.begin();
      const appended = await store.append({ key, state }, 0, bytes("hel", "lo"));
      expect(appended.size).toBe(5);
      expect(await store.open(key)).toBeUndefined();
      const finished = await store.finish({ key, state: appended.state }, 5);
      expect(finished.key).toBe(key);
      expect(await store.stat(key)).toEqual({ sizeBytes: 5, version: finished.version });
      expect(await textOf(await store.open(key))).toBe("hello");
    });

    it("appends where the last append ended, and cuts back what nobody acknowledged", async () => {
      const store = await open();
      const upload = await store.begin();
      await store.append(upload, 0, bytes("hello, moon"));
      const { size, state } = await store.append(upload, 7, bytes("world"));
      expect(size).toBe(12);
      await store.finish({ key: upload.key, state }, 12);
      expect(await textOf(await store.open(upload.key))).toBe("hello, world");
    });

    it("fails an append whose source breaks, and goes on from the last acknowledged offset", async () => {
      const store = await open();
      const upload = await store.begin();
      await store.append(upload, 0, bytes("safe"));
      expect(await failureOf(store.append(upload, 4, breaking(" and lost")))).toBeInstanceOf(Error);
      await store.append(upload, 4, bytes(" and sound"));
      await store.finish(upload, 14);
      expect(await textOf(await store.open(upload.key))).toBe("safe and sound");
    });

    it("says that an upload is lost where bytes are missing", async () => {
      const store = await open();
      const upload = await store.begin();
      expect(await failureOf(store.append(upload, 3, bytes("x")))).toBeInstanceOf(UploadLostError);
      expect(await failureOf(store.finish(upload, 0))).toBeInstanceOf(UploadLostError);
      await store.append(upload, 0, bytes("abc"));
      expect(await failureOf(store.finish(upload, 4))).toBeInstanceOf(UploadLostError);
    });

    it("leaves out of the blob what came in behind the last acknowledged byte", async () => {
      const store = await open();
      const upload = await store.begin();
      await store.append(upload, 0, bytes("acknowledged"));
      await failureOf(store.append(upload, 12, breaking(" and not")));
      expect(await store.finish(upload, 12)).toMatchObject({ key: upload.key, sizeBytes: 12 });
      expect(await textOf(await store.open(upload.key))).toBe("acknowledged");
    });

    it("finishes as it is what has exactly so many bytes and no name, and leaves all else to a finish", async () => {
      const store = await open();
      const upload = await store.begin();
      expect(await store.finishAsIs(upload, 0)).toBeUndefined();
      await store.append(upload, 0, bytes("acknowledged"));
      const finished = await store.finishAsIs(upload, 12);
      expect(finished).toEqual({
        key: upload.key,
        sizeBytes: 12,
        version: (await store.stat(upload.key))?.version ?? "",
      });
      expect(await textOf(await store.open(upload.key))).toBe("acknowledged");
      expect(await store.finishAsIs(upload, 12)).toBeUndefined();
      expect(await store.finish(upload, 12)).toMatchObject({ key: upload.key, sizeBytes: 12 });
      for (const sizeBytes of [11, 13]) {
        const other = await store.begin();
        await store.append(other, 0, bytes("twelve bytes"));
        expect(await store.finishAsIs(other, sizeBytes)).toBeUndefined();
        expect(await store.holds(other, 12)).toBe(true);
        await store.append(other, 12, bytes(", and more"));
        await store.finish(other, 22);
        expect(await textOf(await store.open(other.key))).toBe("twelve bytes, and more");
      }
    });

    it("holds an empty blob, and finishes twice as once", async () => {
      const store = await open();
      const upload = await store.begin();
      await store.append(upload, 0, bytes());
      await store.finish(upload, 0);
      expect(await store.finish(upload, 0)).toMatchObject({ key: upload.key, sizeBytes: 0 });
      expect(await textOf(await store.open(upload.key))).toBe("");
    });

    it("takes back a finish that came to nothing, and goes on from there", async () => {
      const store = await open();
      const upload = await store.begin();
      await store.append(upload, 0, bytes("begun, and lost"));
      await store.finish(upload, 15);
      await store.append(upload, 5, bytes(" and done"));
      expect(await store.open(upload.key)).toBeUndefined();
      await store.finish(upload, 14);
      expect(await textOf(await store.open(upload.key))).toBe("begun and done");
    });

    it("knows how many bytes of an upload are there, finished or not", async () => {
      const store = await open();
      const upload = await store.begin();
      expect(await store.holds(upload, 1)).toBe(false);
      await store.append(upload, 0, bytes("four"));
      expect([await store.holds(upload, 4), await store.holds(upload, 5)]).toEqual([true, false]);
      await store.finish(upload, 4);
      expect([await store.holds(upload, 4), await store.holds(upload, 5)]).toEqual([true, false]);
    });

    it("tells finished keys of which nobody said that they have a row", async () => {
      const store = await open();
      const [told, untold] = [await push(store, "told"), await push(store, "untold")];
      const begun = await store.begin();
      await store.append(begun, 0, bytes("unfinished"));
      await store.settle(told.key);
      await store.settle(newBlobKey());
      expect(await Array.fromAsync(store.unsettled())).toEqual([untold.key]);
      expect(await textOf(await store.open(told.key))).toBe("told");
    });

    it("tells a blob's size without reading it, also of one that is opened in part", async () => {
      const store = await open();
      const { key } = await push(store, "0123456789");
      const facts = await store.stat(key);
      expect(facts?.sizeBytes).toBe(10);
      expect(await store.stat(key)).toEqual(facts);
      expect((await store.open(key, { start: 3, end: 5 }))?.blobBytes).toBe(10);
      expect(await store.stat(newBlobKey())).toBeUndefined();
    });

    it("opens a range of bytes", async () => {
      const store = await open();
      const { key } = await push(store, "0123456789");
      expect(await textOf(await store.open(key, { start: 3, end: 5 }))).toBe("345");
      expect(await textOf(await store.open(key, { start: 9, end: 9 }))).toBe("9");
    });

    it("gives every upload a key of its own, also for the same content", async () => {
      const store = await open();
      const [one, two] = [await push(store, "same"), await push(store, "same")];
      expect(one.key).not.toBe(two.key);
      await store.delete([one.key]);
      expect(await store.open(one.key)).toBeUndefined();
      expect(await textOf(await store.open(two.key))).toBe("same");
    });

    it("deletes and cancels what is not there without a complaint", async () => {
      const store = await open();
      const upload = await store.begin();
      await store.append(upload, 0, bytes("unwanted"));
      await store.cancel(upload);
      await store.cancel(upload);
      expect(await failureOf(store.finish(upload, 8))).toBeInstanceOf(UploadLostError);
      await store.delete([newBlobKey()]);
    });

    it("lists finished keys in order, from any key on, and no unfinished one", async () => {
      const store = await open();
      const keys: BlobKey[] = [];
      for (let index = 0; index < 5; index++) keys.push((await push(store, "x".repeat(index))).key);
      const unfinished = await store.begin();
      await store.append(unfinished, 0, bytes("unfinished"));
      const begun = (await Array.fromAsync(store.unfinished())).map(({ key }) => key);
      expect([begun.includes(unfinished.key), begun.some((key) => keys.includes(key))]).toEqual([true, false]);
      const sorted = keys.toSorted();
      expect((await Array.fromAsync(store.list())).map((stat) => stat.key)).toEqual(sorted);
      expect((await Array.fromAsync(store.list(sorted[2]))).map((stat) => stat.key)).toEqual(sorted.slice(3));
    });

    testDocuments(open);
  });
