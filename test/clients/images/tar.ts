/** One member of a layer. What is not said is a regular file of root with mode 0644 and the same old time always. */
export interface TarEntry {
  readonly path: string;
  readonly kind?: "file" | "directory" | "symlink" | "hardlink";
  readonly content?: Uint8Array;
  readonly mode?: number;
  /** Where a symlink or hard link points. */
  readonly target?: string;
}

const blockBytes = 512;
const typeFlags = { file: "0", hardlink: "1", symlink: "2", directory: "5" } as const;
/** One fixed time for every member: the same input must give the same digest. */
const modifiedSeconds = 1_700_000_000;

/** A ustar archive: paths stay below 100 bytes here, so no extension header is needed. */
export function tarArchive(entries: readonly TarEntry[]): Uint8Array {
  const parts = entries.flatMap((entry) => {
    const content = entry.content ?? new Uint8Array(0);
    return [tarHeader(entry, content.byteLength), content, tarPadding(content.byteLength)];
  });
  return Buffer.concat([...parts, tarEnd]);
}

export function tarHeader(entry: TarEntry, sizeBytes: number): Uint8Array {
  const kind = entry.kind ?? "file";
  const header = Buffer.alloc(blockBytes);
  const name = kind === "directory" ? `${entry.path}/` : entry.path;
  if (Buffer.byteLength(name) > 100 || Buffer.byteLength(entry.target ?? "") > 100) {
    throw new Error(`too long for a plain ustar header: ${name}`);
  }
  header.write(name, 0);
  header.write(octal(entry.mode ?? (kind === "directory" ? 0o755 : 0o644), 7), 100);
  header.write(octal(0, 7), 108);
  header.write(octal(0, 7), 116);
  header.write(octal(sizeBytes, 11), 124);
  header.write(octal(modifiedSeconds, 11), 136);
  header.fill(" ", 148, 156);
  header.write(typeFlags[kind], 156);
  header.write(entry.target ?? "", 157);
  header.write("ustar\u000000", 257);
  header.write("root", 265);
  header.write("root", 297);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${octal(sum, 6)}\0 `, 148);
  return header;
}

export const tarPadding = (sizeBytes: number): Uint8Array =>
  new Uint8Array((blockBytes - (sizeBytes % blockBytes)) % blockBytes);

/** Two empty blocks end an archive. */
export const tarEnd = new Uint8Array(2 * blockBytes);

const octal = (value: number, digits: number): string => value.toString(8).padStart(digits, "0");
