import { expect, it } from "bun:test";
import type { BlobStore } from "./blob-store.ts";
import { type DocumentName, DocumentUnreadableError, parseDocumentName } from "./document-store.ts";

export function documentName(text: string): DocumentName {
  const name = parseDocumentName(text);
  if (name === undefined) throw new Error(`not a name: ${text}`);
  return name;
}

const textOf = async (store: BlobStore, name: DocumentName): Promise<string | undefined> => {
  const bytes = await store.documents.get(name, 1000);
  return bytes && Buffer.from(bytes).toString();
};

/** The documents' part of the one contract. */
export function testDocuments(open: () => Promise<BlobStore>): void {
  it("keeps a document as it was written, beside the blobs and none of them", async () => {
    const store = await open();
    const [one, empty] = [documentName("segment-1"), documentName("empty")];
    expect(await store.documents.get(one, 10)).toBeUndefined();
    expect(await store.documents.create(one, Buffer.from("hello"))).toBe(true);
    expect(await store.documents.create(empty, new Uint8Array())).toBe(true);
    expect([await textOf(store, one), await textOf(store, empty)]).toEqual(["hello", ""]);
    expect(await Array.fromAsync(store.list())).toEqual([]);
    expect(await Array.fromAsync(store.unfinished())).toEqual([]);
  });

  it("never changes a document: of many who write one at once, one wins and all know it", async () => {
    const store = await open();
    const name = documentName("contested");
    const texts = Array.from({ length: 12 }, (_, number) => `writer ${String(number)} `.repeat(number + 1));
    const won = await Promise.all(texts.map((text) => store.documents.create(name, Buffer.from(text))));
    expect(won.filter(Boolean)).toHaveLength(1);
    expect(await textOf(store, name)).toBe(texts[won.indexOf(true)]);
    expect(await store.documents.list()).toEqual([name]);
  });

  it("lists documents in the order of their names, and deletes them, absent ones too", async () => {
    const store = await open();
    for (const name of ["b", "a-10", "a-02", "c"]) await store.documents.create(documentName(name), Buffer.from(name));
    await store.documents.delete([documentName("b"), documentName("never")]);
    expect((await store.documents.list()).map(String)).toEqual(["a-02", "a-10", "c"]);
    expect(await store.documents.create(documentName("b"), Buffer.from("again"))).toBe(true);
    expect(await textOf(store, documentName("b"))).toBe("again");
  });

  it("reads no document that is larger than its reader says", async () => {
    const store = await open();
    const name = documentName("large");
    await store.documents.create(name, Buffer.alloc(1001));
    const [outcome] = await Promise.allSettled([store.documents.get(name, 1000)]);
    expect(outcome.status === "rejected" && outcome.reason).toBeInstanceOf(DocumentUnreadableError);
    expect(await store.documents.get(name, 1001)).toHaveLength(1001);
  });

  it("names nothing outside its place", () => {
    const names = ["", "..", "../x", "a/b", "A", "a.b", "-a", "a\n", "a\0", "é", "x".repeat(101), ".drafts"];
    expect(names.filter((name) => parseDocumentName(name) !== undefined)).toEqual([]);
  });
}
