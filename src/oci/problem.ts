import type { Digest } from "./digest.ts";
import type { RepositoryName, Tag } from "./names.ts";

/** Where an upload stands, for the answer to a chunk that does not fit. */
export interface UploadPosition {
  readonly repository: RepositoryName;
  readonly id: string;
  /** Bytes received so far. */
  readonly size: number;
}

/** Why access was denied, for those who may see it: never for the one who asked. */
export interface Denial {
  readonly rule: string;
  readonly text: string;
  readonly role?: string;
  readonly grantId?: string;
  /** What would have to be given. */
  readonly missing?: string;
}

/** Who has pulled as often as they may. */
export interface PullStanding {
  readonly kind: "anonymous" | "account" | "robot";
  readonly limit: number;
  readonly remaining: number;
  readonly windowSeconds: number;
  /** What the limit counts for: a network, or a name. */
  readonly source: string;
  /** Whether it would be more, or none, after signing in. */
  readonly isMoreSignedIn: boolean;
}

/** What is wrong with a request of the administration API, and where in it. */
export interface Fault {
  readonly at: string;
  readonly reason: string;
}

/** Everything the protocol and the API can refuse; http/problem-reply turns each into status, headers and body. */
export type Problem =
  | { readonly code: "BLOB_DAMAGED"; readonly digest: Digest }
  | { readonly code: "BLOB_UNKNOWN"; readonly digest: string }
  | { readonly code: "BLOB_UPLOAD_INVALID"; readonly reason: string }
  | { readonly code: "BLOB_UPLOAD_OUT_OF_ORDER"; readonly position: UploadPosition; readonly reason: string }
  | { readonly code: "BLOB_UPLOAD_UNKNOWN" }
  | { readonly code: "BODY_TOO_LARGE"; readonly limitBytes: number }
  | { readonly code: "BODY_TOO_SLOW" }
  | { readonly code: "BODY_TYPE_UNSUPPORTED" }
  | { readonly code: "CONFLICT"; readonly reasons: readonly [string, ...string[]] }
  | {
      readonly code: "DENIED";
      /** For the log. */
      readonly rule: string;
      /** What would have to be given, where the one who asks may know of it. */
      readonly missing?: string;
      readonly denial?: Denial;
    }
  | { readonly code: "DIGEST_INVALID"; readonly given: string; readonly reason: string }
  | { readonly code: "FOREIGN_ORIGIN" }
  | { readonly code: "HOST_INVALID" }
  | { readonly code: "IDEMPOTENCY_KEY_REUSED" }
  | { readonly code: "INPUT_INVALID"; readonly faults: readonly Fault[] }
  | { readonly code: "INSUFFICIENT_STORAGE" }
  | { readonly code: "MANIFEST_BLOB_UNKNOWN"; readonly digest: Digest }
  | { readonly code: "MANIFEST_INVALID"; readonly reason: string }
  | { readonly code: "MANIFEST_TOO_LARGE"; readonly limitBytes: number }
  | { readonly code: "MANIFEST_UNKNOWN"; readonly reference: string }
  | { readonly code: "METHOD_UNSUPPORTED"; readonly allow: readonly string[]; readonly reason: string }
  | { readonly code: "NAME_INVALID"; readonly given: string }
  | { readonly code: "NAME_UNKNOWN"; readonly name: string }
  | { readonly code: "OBJECT_UNKNOWN"; readonly what: string }
  | { readonly code: "PAGINATION_NUMBER_INVALID"; readonly given: string }
  | { readonly code: "PRECONDITION_FAILED"; readonly current: Digest | undefined }
  | { readonly code: "PULL_LIMIT_REACHED"; readonly standing: PullStanding; readonly retryAfterSeconds: number }
  | { readonly code: "RANGE_UNSATISFIABLE"; readonly sizeBytes: number }
  | { readonly code: "REVISION_REQUIRED" }
  | { readonly code: "REVISION_STALE"; readonly current: number }
  | { readonly code: "ROUTE_UNKNOWN" }
  | { readonly code: "SECOND_FACTOR_REQUIRED" }
  | { readonly code: "SIZE_INVALID"; readonly reason: string }
  | { readonly code: "TAG_INVALID"; readonly given: string }
  | { readonly code: "TAG_REFUSED"; readonly tag: Tag; readonly reason: string }
  | { readonly code: "TOO_LARGE"; readonly limitBytes: number }
  | { readonly code: "TOO_MANY_TAGS"; readonly limit: number }
  | { readonly code: "TOO_MANY_REQUESTS"; readonly reason: string; readonly retryAfterSeconds: number }
  | {
      readonly code: "UNAUTHORIZED";
      readonly scopes: readonly string[];
      readonly error?: TokenError;
      /** Where no other credentials of the same principal would do. */
      readonly denial?: Denial;
    }
  | { readonly code: "UNAVAILABLE"; readonly reason: string; readonly retryAfterSeconds: number };

/** `error` of a Bearer challenge (RFC 6750, 3.1): present only when a token was sent. */
export type TokenError = "invalid_token" | "insufficient_scope";

/** The one throwable of the protocol; an Error only for its stack and cause. One entry for each thing that is wrong. */
export class RegistryError extends Error {
  override readonly name = "RegistryError";
  readonly problems: readonly [Problem, ...Problem[]];
  constructor(problems: readonly [Problem, ...Problem[]], options?: ErrorOptions) {
    super(problems[0].code, options);
    this.problems = problems;
  }
}

export function fail(...problems: readonly [Problem, ...Problem[]]): never {
  throw new RegistryError(problems);
}
