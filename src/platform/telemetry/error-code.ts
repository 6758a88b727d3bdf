/** The short name of a failure (ENOSPC, SQLITE_FULL), for those who must not see its message, which may have paths. */
export function errorCode(error: unknown): string {
  if (!(error instanceof Error)) return "unknown";
  return "code" in error && typeof error.code === "string" ? error.code : error.name;
}
