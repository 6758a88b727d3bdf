/** Who somebody is, as a source of identity tells it. */
export interface Identity {
  /** Never changes, and is never another's. */
  readonly subject: string;
  /** What they sign in with, as `canonicalName` spells it. */
  readonly name: string;
  readonly displayName: string | undefined;
  /** To be shown. Nobody is ever found by it. */
  readonly email: string | undefined;
  /** The groups that they are in now, by names that are compared letter by letter. */
  readonly groups: readonly string[];
  /** What they have on the instance by a group that the source's settings name. */
  readonly roles: readonly InstanceRole[];
  /** Whether an account that is made for them has a namespace of its own. */
  readonly restricted: boolean;
}

export const instanceRoles = ["administrator", "auditor"] as const;
export type InstanceRole = (typeof instanceRoles)[number];

export type SourceAnswer =
  | { readonly kind: "identity"; readonly identity: Identity }
  /** It knows the name, and this is not the password. */
  | { readonly kind: "wrong" }
  /** Nobody can tell who is meant. */
  | { readonly kind: "unclear"; readonly why: string }
  | { readonly kind: "unknown" };

/** One step of a conversation that tries a source out. */
export interface SourceStep {
  readonly step: string;
  readonly ok: boolean;
  readonly detail: string;
}

/** Where people are known beside the accounts of the database. */
interface AnySource {
  /** What accounts are linked by, with the identity's subject. */
  readonly name: string;
  /** Whether whoever it knows gets an account at their first sign-in. */
  readonly onboards: boolean;
  /** How old its word on somebody may be before they may only read. */
  readonly staleMs: number;
  /** The spelling of a group's name under which it is compared; `undefined`: it is none. */
  groupName(text: string): string | undefined;
  /** Goes through all that a sign-in needs, until something fails. @param name somebody to be found */
  test(name: string | undefined): AsyncIterable<SourceStep>;
}

/** One that is shown names and passwords. */
export interface PasswordSource extends AnySource {
  readonly kind: "password";
  /** How long its word on a password counts. */
  readonly rememberMs: number;
  /**
   * @param password without one, it takes as long as with a wrong one, and shows the source no password of anyone's
   * @throws SourceUnavailable
   */
  authenticate(name: string, password: string | undefined): Promise<SourceAnswer>;
  /** Those of them whom it still knows and lets in, by subject. @throws SourceUnavailable */
  confirm(subjects: readonly string[]): Promise<ReadonlyMap<string, Identity>>;
}

/** What is kept of a sign-in while somebody is away at a source: by their browser alone, sealed. */
export interface PendingSignIn {
  readonly state: string;
  readonly nonce: string;
  readonly verifier: string;
  readonly redirectUri: string;
}

/** What a browser has brought back from a source. */
export interface BroughtBack {
  readonly code: string | undefined;
  readonly state: string | undefined;
  readonly issuer: string | undefined;
  readonly error: string | undefined;
}

export type BrowserAnswer =
  | { readonly kind: "identity"; readonly identity: Identity }
  /** `why` is for the log: who has signed in is not told, and nothing that the source has sent is shown. */
  | { readonly kind: "refused"; readonly why: string };

/** One that people go to with a browser, and that sends them back. */
export interface BrowserSource extends AnySource {
  readonly kind: "browser";
  readonly label: string;
  /** Where a browser is sent. @throws SourceUnavailable */
  begin(redirectUri: string): Promise<{ readonly url: string; readonly pending: PendingSignIn }>;
  /** @throws SourceUnavailable */
  finish(pending: PendingSignIn, brought: BroughtBack): Promise<BrowserAnswer>;
  /** Where a browser is sent to sign out there too; `undefined`: that is not wanted, or not known. */
  endUrl(returnUri: string): Promise<string | undefined>;
}

export type Source = PasswordSource | BrowserSource;

/** A source gives no answer; nothing is known of the password. */
export class SourceUnavailable extends Error {
  override readonly name = "SourceUnavailable";
}
