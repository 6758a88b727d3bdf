/** What a conversation with a directory consists of, in its order. */
export type DirectoryStep = "name" | "connect" | "tls" | "bind" | "search";

/**
 * Why a directory gave no answer: it is away, it hangs, it is set up otherwise than it is asked. A wrong password is no
 * such error. The message may be logged and shown: it holds no password and no more than a line of what the other side said.
 */
export class DirectoryError extends Error {
  override readonly name = "DirectoryError";
  readonly step: DirectoryStep;
  constructor(step: DirectoryStep, message: string) {
    super(message);
    this.step = step;
  }
}
