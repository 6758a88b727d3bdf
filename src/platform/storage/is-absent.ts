/** Whether a path, or the folder that it is in, is not there. */
export const isAbsent = (error: unknown): boolean =>
  error instanceof Error && "code" in error && error.code === "ENOENT";
