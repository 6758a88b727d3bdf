import type { Brand } from "../../oci/brand.ts";

/** What a document is called: lower case letters, digits and dashes. */
export type DocumentName = Brand<string, "DocumentName">;

const nameSyntax = /^[a-z0-9][a-z0-9-]{0,99}$/;
const isName = (text: string): text is DocumentName => nameSyntax.test(text);

export const parseDocumentName = (text: string): DocumentName | undefined => (isName(text) ? text : undefined);

/** Documents under names of our choosing, beside the blobs and none of them: the journal. Each is small and written once. */
export interface DocumentStore {
  /**
   * Writes a document whole and durable, or not at all.
   * @returns false where there is one of that name, which is durable then: of two writers at once, one wins
   */
  create(name: DocumentName, bytes: Uint8Array): Promise<boolean>;
  /** @throws DocumentUnreadableError where it has more than `mostBytes` bytes, or is none of ours at all */
  get(name: DocumentName, mostBytes: number): Promise<Uint8Array | undefined>;
  /** In the order of their names. */
  list(): Promise<readonly DocumentName[]>;
  /** Absent ones are success. */
  delete(names: readonly DocumentName[]): Promise<void>;
}

/** Something of that name is there, and cannot be a document. */
export class DocumentUnreadableError extends Error {
  override readonly name = "DocumentUnreadableError";
}
