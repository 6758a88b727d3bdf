import type { JsonValue } from "../oci/json.ts";
import type { Problem } from "../oci/problem.ts";
import type { Reply, ReplyHeaders } from "../platform/runtime/http.ts";
import type { Challenge } from "./challenge.ts";
import { rateHeaders, spell } from "./distribution/rate-headers.ts";
import { uploadLocation } from "./distribution/upload-replies.ts";

/** What the protocol says of a problem. A code without a row does not compile; what may be told is chosen row by row. */
interface Row<P> {
  readonly status: number;
  /** The protocol's code, where it is not our own (distribution-spec, "Error Codes"). */
  readonly code?: string;
  readonly message: string | ((problem: P) => string);
  /** Absent: nothing is told. */
  readonly detail?: (problem: P) => JsonValue;
  readonly headers?: (problem: P, challenge: (challenge: Challenge) => string | undefined) => ReplyHeaders;
}

type Rows = { readonly [C in Problem["code"]]: Row<Extract<Problem, { readonly code: C }>> };

const retryAfter = ({ retryAfterSeconds }: { readonly retryAfterSeconds: number }): ReplyHeaders => ({
  "retry-after": Math.max(1, Math.ceil(retryAfterSeconds)),
});
const reasonOf = ({ reason }: { readonly reason: string }): string => reason;

const rows: Rows = {
  BLOB_DAMAGED: {
    status: 404,
    code: "BLOB_UNKNOWN",
    message: "the registry no longer has this blob's bytes; push it again, and it is whole",
    detail: ({ digest }) => ({ digest }),
  },
  BLOB_UNKNOWN: { status: 404, message: "blob unknown to the registry", detail: ({ digest }) => ({ digest }) },
  BLOB_UPLOAD_INVALID: { status: 400, message: reasonOf },
  BLOB_UPLOAD_OUT_OF_ORDER: {
    status: 416,
    code: "BLOB_UPLOAD_INVALID",
    message: reasonOf,
    headers: ({ position }) => ({
      location: uploadLocation(position),
      "docker-upload-uuid": position.id,
      ...(position.size > 0 && { range: `0-${position.size - 1}` }),
    }),
  },
  BLOB_UPLOAD_UNKNOWN: { status: 404, message: "upload unknown to the registry: finished, cancelled or expired" },
  BODY_TOO_LARGE: {
    status: 413,
    code: "SIZE_INVALID",
    message: ({ limitBytes }) => `the body has at most ${limitBytes} bytes here`,
  },
  BODY_TOO_SLOW: {
    status: 408,
    code: "SIZE_INVALID",
    message: "the body came too slowly and was not waited for; what came of an upload is kept",
    // What may still come of it is nobody's.
    headers: () => ({ connection: "close" }),
  },
  BODY_TYPE_UNSUPPORTED: { status: 415, code: "UNSUPPORTED", message: "the body must be application/json in UTF-8" },
  CONFLICT: { status: 409, code: "DENIED", message: ({ reasons }) => reasons.join("; ") },
  DENIED: {
    status: 403,
    message: ({ missing }) =>
      `requested access to the resource is denied${missing === undefined ? "" : `: ${missing}`}`,
  },
  DIGEST_INVALID: { status: 400, message: reasonOf, detail: ({ given }) => ({ digest: given }) },
  FOREIGN_ORIGIN: {
    status: 403,
    code: "DENIED",
    message: "a session's cookie counts from this server's own pages alone",
  },
  HOST_INVALID: { status: 400, code: "UNSUPPORTED", message: "the Host header names no host" },
  IDEMPOTENCY_KEY_REUSED: {
    status: 422,
    code: "DENIED",
    message: "the Idempotency-Key has been used for another request",
  },
  INPUT_INVALID: {
    status: 400,
    code: "UNSUPPORTED",
    message: ({ faults }) => faults.map(({ at, reason }) => (at === "" ? reason : `${at}: ${reason}`)).join("; "),
    detail: ({ faults }) => faults.map(({ at, reason }) => ({ at, reason })),
  },
  INSUFFICIENT_STORAGE: {
    status: 507,
    code: "UNAVAILABLE",
    message: "the registry has no room left; its operator has to free or add some",
  },
  MANIFEST_BLOB_UNKNOWN: {
    status: 400,
    message: "manifest names a blob that is not in the repository; push it first",
    detail: ({ digest }) => ({ digest }),
  },
  MANIFEST_INVALID: { status: 400, message: reasonOf },
  MANIFEST_TOO_LARGE: {
    status: 413,
    code: "MANIFEST_INVALID",
    message: ({ limitBytes }) => `a manifest has at most ${limitBytes} bytes`,
  },
  MANIFEST_UNKNOWN: {
    status: 404,
    message: "manifest unknown to the registry",
    detail: ({ reference }) => ({ reference }),
  },
  METHOD_UNSUPPORTED: {
    status: 405,
    code: "UNSUPPORTED",
    message: reasonOf,
    headers: ({ allow }) => ({ allow: allow.join(", ") }),
  },
  NAME_INVALID: { status: 400, message: "invalid repository name", detail: ({ given }) => ({ name: given }) },
  NAME_UNKNOWN: { status: 404, message: "repository name not known to the registry", detail: ({ name }) => ({ name }) },
  OBJECT_UNKNOWN: { status: 404, code: "UNSUPPORTED", message: ({ what }) => `there is no such ${what}` },
  PAGINATION_NUMBER_INVALID: {
    status: 400,
    message: "n must be a whole number within the list's limit, and last a name",
    detail: ({ given }) => ({ n: given }),
  },
  PRECONDITION_FAILED: {
    status: 412,
    code: "DENIED",
    message: "the tag is not, or no longer, as the request's condition wants it",
    headers: ({ current }) => (current === undefined ? {} : { etag: `"${current}"` }),
  },
  PULL_LIMIT_REACHED: {
    status: 429,
    code: "TOOMANYREQUESTS",
    message: ({ standing: { limit, windowSeconds, isMoreSignedIn } }) =>
      `you have reached the limit of ${limit} pulls in ${spell(windowSeconds)}${isMoreSignedIn ? "; sign in to pull more" : ""}`,
    headers: ({ standing, ...problem }) => ({ ...retryAfter(problem), ...rateHeaders(standing) }),
  },
  RANGE_UNSATISFIABLE: {
    status: 416,
    code: "SIZE_INVALID",
    message: ({ sizeBytes }) => `no such range in a blob of ${sizeBytes} bytes`,
    headers: ({ sizeBytes }) => ({ "content-range": `bytes */${sizeBytes}` }),
  },
  REVISION_REQUIRED: {
    status: 428,
    code: "UNSUPPORTED",
    message: "a change says which revision it means: If-Match with the ETag that was read, or *",
  },
  REVISION_STALE: {
    status: 412,
    code: "DENIED",
    message: "it was changed since it was read",
    headers: ({ current }) => ({ etag: `"${current}"` }),
  },
  ROUTE_UNKNOWN: { status: 404, code: "UNSUPPORTED", message: "there is no such endpoint" },
  SECOND_FACTOR_REQUIRED: {
    status: 401,
    code: "UNAUTHORIZED",
    message: "the password is right; a one-time code has to come with it",
  },
  SIZE_INVALID: { status: 400, message: reasonOf },
  TAG_INVALID: { status: 400, message: "invalid tag", detail: ({ given }) => ({ tag: given }) },
  TAG_REFUSED: { status: 409, code: "DENIED", message: reasonOf, detail: ({ tag }) => ({ tag }) },
  TOO_LARGE: {
    status: 413,
    code: "SIZE_INVALID",
    message: ({ limitBytes }) => `a blob has at most ${limitBytes} bytes here`,
  },
  TOO_MANY_TAGS: {
    status: 414,
    code: "TAG_INVALID",
    message: ({ limit }) => `at most ${limit} tags go with one push`,
  },
  TOO_MANY_REQUESTS: { status: 429, code: "TOOMANYREQUESTS", message: reasonOf, headers: retryAfter },
  UNAUTHORIZED: {
    status: 401,
    message: "authentication required",
    headers: ({ scopes, error }, challenge) => {
      const header = challenge({ scopes, ...(error && { error }) });
      return header === undefined ? {} : { "www-authenticate": header };
    },
  },
  UNAVAILABLE: { status: 503, message: reasonOf, headers: retryAfter },
};

/** The row of a code takes the problems of that code alone, which the compiler cannot see through the index. */
// oxlint-disable-next-line typescript/no-unsafe-type-assertion
const rowOf = (problem: Problem): Row<Problem> => rows[problem.code] as unknown as Row<Problem>;

/** What is answered to problems, before anyone writes it down in this or that form. */
export interface Told {
  readonly status: number;
  readonly headers: ReplyHeaders;
  readonly errors: readonly [ToldError, ...ToldError[]];
}

export interface ToldError {
  /** Our own name for it. */
  readonly problem: string;
  readonly code: string;
  readonly message: string;
  readonly detail?: JsonValue;
}

/** Status and headers are those of the first problem; each has an entry. */
export function tellProblems(
  problems: readonly [Problem, ...Problem[]],
  challenge: (challenge: Challenge) => string | undefined,
): Told {
  const [first, ...others] = problems;
  const { status, headers } = rowOf(first);
  return { status, headers: headers?.(first, challenge) ?? {}, errors: [told(first), ...others.map(told)] };
}

function told(problem: Problem): ToldError {
  const { code, message, detail } = rowOf(problem);
  return {
    problem: problem.code,
    code: code ?? problem.code,
    message: typeof message === "string" ? message : message(problem),
    ...(detail && { detail: detail(problem) }),
  };
}

/** As the registry protocol writes it (distribution-spec, "Error Codes"). */
export const errorsReply = ({ status, headers, errors }: Told): Reply => ({
  kind: "json",
  status,
  headers,
  body: {
    errors: errors.map(({ code, message, detail }) => ({ code, message, ...(detail !== undefined && { detail }) })),
  },
});

export const problemReply = (
  problems: readonly [Problem, ...Problem[]],
  challenge: (challenge: Challenge) => string | undefined,
): Reply => errorsReply(tellProblems(problems, challenge));
