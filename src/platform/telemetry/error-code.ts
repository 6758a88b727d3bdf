/** The short name of a failure (ENOSPC, SQLITE_FULL), for those who must not see its message, which may have paths. */
export const errorCode = (error: unknown): string =>
  error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : "no code";
