import type { Account } from "../accounts.ts";

/** A sign-in that would begin a session, as it ended. */
export interface SessionNote {
  /** `undefined`: by a password of the database, or of a source that is shown passwords. */
  readonly source: string | undefined;
  /** `undefined`: nobody was let in. */
  readonly account: Account | undefined;
  readonly remoteAddress: string;
  readonly requestId: string;
}

export type NoteSession = (note: SessionNote) => void;
