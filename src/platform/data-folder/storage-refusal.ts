/** What the disk or the database says when it takes no more writes; reads go on. Ours to tell, not ours to mend. */
const reasons: Readonly<Record<string, string>> = {
  ENOSPC: "the storage is full",
  EDQUOT: "the storage is full",
  SQLITE_FULL: "the storage is full",
  EROFS: "the storage is read-only",
  SQLITE_READONLY: "the storage is read-only",
  SQLITE_BUSY: "another process keeps the database busy",
};

/** Why the storage refused a write; `undefined` for any other failure. */
export function storageRefusal(error: unknown): string | undefined {
  if (!(error instanceof Error) || !("code" in error) || typeof error.code !== "string") return undefined;
  const { code } = error;
  return Object.entries(reasons).find(([known]) => code === known || code.startsWith(`${known}_`))?.[1];
}
