import type { KeyObject } from "node:crypto";
import type { PasswordSignInDeps } from "../../access/sessions/sign-in-by-password.ts";
import type { Sessions } from "../../access/sessions/sessions.ts";
import type { BrowserSources } from "../../access/sources/browser-sources.ts";
import type { NoteSession } from "../../access/sessions/session-note.ts";
import type { Log } from "../../platform/telemetry/log.ts";

export interface SignInDeps extends PasswordSignInDeps {
  readonly sessions: Sessions;
  readonly browserSources: BrowserSources;
  /** Of what a browser keeps while somebody is away at a source. */
  readonly pendingKey: KeyObject;
  readonly publicUrl: string | undefined;
  readonly log: Log;
  readonly onSignIn: NoteSession;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}
