import { type DocumentName, type DocumentStore, DocumentUnreadableError } from "../document-store.ts";

export function memoryDocuments(): DocumentStore {
  const documents = new Map<DocumentName, Uint8Array>();
  return {
    async create(name, bytes) {
      if (documents.has(name)) return false;
      documents.set(name, bytes.slice());
      return true;
    },
    async get(name, mostBytes) {
      const bytes = documents.get(name);
      if (bytes !== undefined && bytes.byteLength > mostBytes) throw new DocumentUnreadableError("is too large");
      return bytes?.slice();
    },
    list: async () => [...documents.keys()].toSorted(),
    async delete(names) {
      for (const name of names) documents.delete(name);
    },
  };
}
