import type { DirectoryEntry } from "../../../platform/net/directory/directory-session.ts";

/** Active Directory's is 16 bytes, whose first three parts stand backwards. */
export const isBinaryId = (attribute: string): boolean => attribute.toLowerCase() === "objectguid";

const guidOrder = [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15] as const;
const longestSubjectCharacters = 255;

/** What an entry is recognised by; `undefined` where it has nothing that would do. */
export function subjectOf(attribute: string, entry: DirectoryEntry): string | undefined {
  if (!isBinaryId(attribute)) {
    const [first] = entry.texts(attribute);
    const isUsable = first !== undefined && first !== "" && first.length <= longestSubjectCharacters;
    return isUsable && first.isWellFormed() && !first.includes("\0") ? first : undefined;
  }
  const bytes = entry.bytes(attribute);
  if (bytes?.length !== guidOrder.length) return undefined;
  const hex = Buffer.from(guidOrder.map((at) => bytes[at] ?? 0)).toString("hex");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}

/** As it is looked for. */
export function valueOfSubject(attribute: string, subject: string): string | Uint8Array {
  if (!isBinaryId(attribute)) return subject;
  const shown = Buffer.from(subject.replaceAll("-", ""), "hex");
  return Uint8Array.from(guidOrder, (at) => shown[at] ?? 0);
}
