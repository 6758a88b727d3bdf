import { expect, test } from "bun:test";
import { digestOf, repositoryName, tagName } from "../../test/support/registry.ts";
import type { Problem } from "../oci/problem.ts";
import type { Reply } from "../platform/runtime/http.ts";
import { problemReply } from "./problem-reply.ts";

const digest = digestOf("bytes");
const position = { repository: repositoryName("team/app"), id: "the-id", size: 5 };
const reason = "because of this";

/** One of each, so that a new code does not compile without its line here. */
const samples: { readonly [C in Problem["code"]]: Extract<Problem, { readonly code: C }> } = {
  BLOB_DAMAGED: { code: "BLOB_DAMAGED", digest },
  BLOB_UNKNOWN: { code: "BLOB_UNKNOWN", digest },
  BLOB_UPLOAD_INVALID: { code: "BLOB_UPLOAD_INVALID", reason },
  BLOB_UPLOAD_OUT_OF_ORDER: { code: "BLOB_UPLOAD_OUT_OF_ORDER", position, reason },
  BLOB_UPLOAD_UNKNOWN: { code: "BLOB_UPLOAD_UNKNOWN" },
  BODY_TOO_LARGE: { code: "BODY_TOO_LARGE", limitBytes: 10 },
  BODY_TOO_SLOW: { code: "BODY_TOO_SLOW" },
  BODY_TYPE_UNSUPPORTED: { code: "BODY_TYPE_UNSUPPORTED" },
  CONFLICT: { code: "CONFLICT", reasons: [reason] },
  DENIED: { code: "DENIED", rule: "an internal rule" },
  DIGEST_INVALID: { code: "DIGEST_INVALID", given: "sha256:x", reason },
  FOREIGN_ORIGIN: { code: "FOREIGN_ORIGIN" },
  HOST_INVALID: { code: "HOST_INVALID" },
  IDEMPOTENCY_KEY_REUSED: { code: "IDEMPOTENCY_KEY_REUSED" },
  INPUT_INVALID: { code: "INPUT_INVALID", faults: [{ at: "name", reason }] },
  INSUFFICIENT_STORAGE: { code: "INSUFFICIENT_STORAGE" },
  MANIFEST_BLOB_UNKNOWN: { code: "MANIFEST_BLOB_UNKNOWN", digest },
  MANIFEST_INVALID: { code: "MANIFEST_INVALID", reason },
  MANIFEST_TOO_LARGE: { code: "MANIFEST_TOO_LARGE", limitBytes: 10 },
  MANIFEST_UNKNOWN: { code: "MANIFEST_UNKNOWN", reference: "v1" },
  METHOD_UNSUPPORTED: { code: "METHOD_UNSUPPORTED", allow: ["GET", "HEAD"], reason },
  NAME_INVALID: { code: "NAME_INVALID", given: "A" },
  NAME_UNKNOWN: { code: "NAME_UNKNOWN", name: "team/app" },
  OBJECT_UNKNOWN: { code: "OBJECT_UNKNOWN", what: "account" },
  PAGINATION_NUMBER_INVALID: { code: "PAGINATION_NUMBER_INVALID", given: "x" },
  PRECONDITION_FAILED: { code: "PRECONDITION_FAILED", current: digest },
  PULL_LIMIT_REACHED: {
    code: "PULL_LIMIT_REACHED",
    retryAfterSeconds: 1.5,
    standing: {
      kind: "anonymous",
      limit: 100,
      remaining: 0,
      windowSeconds: 86_400,
      source: "192.0.2.1",
      isMoreSignedIn: true,
    },
  },
  RANGE_UNSATISFIABLE: { code: "RANGE_UNSATISFIABLE", sizeBytes: 10 },
  REVISION_REQUIRED: { code: "REVISION_REQUIRED" },
  REVISION_STALE: { code: "REVISION_STALE", current: 7 },
  ROUTE_UNKNOWN: { code: "ROUTE_UNKNOWN" },
  SECOND_FACTOR_REQUIRED: { code: "SECOND_FACTOR_REQUIRED" },
  SIZE_INVALID: { code: "SIZE_INVALID", reason },
  TAG_INVALID: { code: "TAG_INVALID", given: "!" },
  TAG_REFUSED: { code: "TAG_REFUSED", tag: tagName("v1"), reason },
  TOO_LARGE: { code: "TOO_LARGE", limitBytes: 10 },
  TOO_MANY_TAGS: { code: "TOO_MANY_TAGS", limit: 50 },
  TOO_MANY_REQUESTS: { code: "TOO_MANY_REQUESTS", reason, retryAfterSeconds: 1.2 },
  UNAUTHORIZED: { code: "UNAUTHORIZED", scopes: ["repository:a:pull"], error: "insufficient_scope" },
  UNAVAILABLE: { code: "UNAVAILABLE", reason, retryAfterSeconds: 0 },
};

/** distribution-spec, "Error Codes", and those that docker's registry has beside them. */
const published = new Set([
  "BLOB_UNKNOWN",
  "BLOB_UPLOAD_INVALID",
  "BLOB_UPLOAD_UNKNOWN",
  "DIGEST_INVALID",
  "MANIFEST_BLOB_UNKNOWN",
  "MANIFEST_INVALID",
  "MANIFEST_UNKNOWN",
  "NAME_INVALID",
  "NAME_UNKNOWN",
  "SIZE_INVALID",
  "UNAUTHORIZED",
  "DENIED",
  "UNSUPPORTED",
  "TOOMANYREQUESTS",
  "PAGINATION_NUMBER_INVALID",
  "TAG_INVALID",
  "UNAVAILABLE",
]);

const statuses: Readonly<Record<Problem["code"], number>> = {
  BLOB_DAMAGED: 404,
  BLOB_UNKNOWN: 404,
  BLOB_UPLOAD_INVALID: 400,
  BLOB_UPLOAD_OUT_OF_ORDER: 416,
  BLOB_UPLOAD_UNKNOWN: 404,
  BODY_TOO_LARGE: 413,
  BODY_TOO_SLOW: 408,
  BODY_TYPE_UNSUPPORTED: 415,
  CONFLICT: 409,
  DENIED: 403,
  DIGEST_INVALID: 400,
  FOREIGN_ORIGIN: 403,
  HOST_INVALID: 400,
  IDEMPOTENCY_KEY_REUSED: 422,
  INPUT_INVALID: 400,
  INSUFFICIENT_STORAGE: 507,
  MANIFEST_BLOB_UNKNOWN: 400,
  MANIFEST_INVALID: 400,
  MANIFEST_TOO_LARGE: 413,
  MANIFEST_UNKNOWN: 404,
  METHOD_UNSUPPORTED: 405,
  NAME_INVALID: 400,
  NAME_UNKNOWN: 404,
  OBJECT_UNKNOWN: 404,
  PAGINATION_NUMBER_INVALID: 400,
  PRECONDITION_FAILED: 412,
  PULL_LIMIT_REACHED: 429,
  RANGE_UNSATISFIABLE: 416,
  REVISION_REQUIRED: 428,
  REVISION_STALE: 412,
  ROUTE_UNKNOWN: 404,
  SECOND_FACTOR_REQUIRED: 401,
  SIZE_INVALID: 400,
  TAG_INVALID: 400,
  TAG_REFUSED: 409,
  TOO_LARGE: 413,
  TOO_MANY_REQUESTS: 429,
  TOO_MANY_TAGS: 414,
  UNAUTHORIZED: 401,
  UNAVAILABLE: 503,
};

interface ErrorEntry {
  readonly code: string;
  readonly message: string;
  readonly detail?: unknown;
}

const replyTo = (...problems: readonly [Problem, ...Problem[]]): Reply =>
  problemReply(problems, ({ scopes, error }) => `Bearer scope="${scopes.join(" ")}",error="${error ?? ""}"`);
function errorsOf(reply: Reply): readonly ErrorEntry[] {
  if (reply.kind !== "json") throw new Error(`not JSON: ${reply.kind}`);
  return (reply.body as unknown as { readonly errors: readonly ErrorEntry[] }).errors;
}

test.each(Object.values(samples))("$code has its status and one published code", (problem) => {
  const reply = replyTo(problem);
  const errors = errorsOf(reply);
  expect("status" in reply && reply.status).toBe(statuses[problem.code]);
  expect(errors.length).toBe(1);
  const [{ code, message } = { code: "", message: "" }] = errors;
  expect(published).toContain(code);
  expect(message).not.toBe("");
  // JSON as it is sent: nothing is lost on the way.
  expect(JSON.parse(JSON.stringify(errors))).toEqual(errors);
});

const headersOf = (problem: Problem) => {
  const reply = replyTo(problem);
  return "headers" in reply ? reply.headers : undefined;
};

test("what headers they bring", () => {
  expect(headersOf(samples.BLOB_UPLOAD_OUT_OF_ORDER)).toEqual({
    location: "/v2/team/app/blobs/uploads/the-id",
    "docker-upload-uuid": "the-id",
    range: "0-4",
  });
  const empty = { ...samples.BLOB_UPLOAD_OUT_OF_ORDER, position: { ...position, size: 0 } };
  expect(headersOf(empty)).not.toHaveProperty("range");
  expect(headersOf(samples.METHOD_UNSUPPORTED)).toEqual({ allow: "GET, HEAD" });
  expect(headersOf(samples.PRECONDITION_FAILED)).toEqual({ etag: `"${digest}"` });
  expect(headersOf({ code: "PRECONDITION_FAILED", current: undefined })).toEqual({});
  expect(headersOf(samples.PULL_LIMIT_REACHED)).toEqual({
    "retry-after": 2,
    "ratelimit-limit": "100;w=86400",
    "ratelimit-remaining": "0;w=86400",
    "docker-ratelimit-source": "192.0.2.1",
  });
  expect(headersOf(samples.RANGE_UNSATISFIABLE)).toEqual({ "content-range": "bytes */10" });
  expect(headersOf(samples.TOO_MANY_REQUESTS)).toEqual({ "retry-after": 2 });
  expect(headersOf(samples.UNAVAILABLE)).toEqual({ "retry-after": 1 });
  expect(headersOf(samples.UNAUTHORIZED)).toEqual({
    "www-authenticate": 'Bearer scope="repository:a:pull",error="insufficient_scope"',
  });
  expect(headersOf({ code: "UNAUTHORIZED", scopes: [] })).toEqual({ "www-authenticate": 'Bearer scope="",error=""' });
});

test("a 401 without a challenge that could be answered has no such header", () => {
  const reply = problemReply([samples.UNAUTHORIZED], () => undefined);
  expect("headers" in reply && reply.headers).toEqual({});
});

test("several have an entry each, under the status and the headers of the first", () => {
  const [one, two] = [digestOf("one"), digestOf("two")];
  const reply = replyTo(
    { code: "MANIFEST_BLOB_UNKNOWN", digest: one },
    { code: "MANIFEST_BLOB_UNKNOWN", digest: two },
    samples.METHOD_UNSUPPORTED,
  );
  expect("status" in reply && reply.status).toBe(400);
  expect("headers" in reply && reply.headers).toEqual({});
  expect(errorsOf(reply).map(({ code, detail }) => [code, detail])).toEqual([
    ["MANIFEST_BLOB_UNKNOWN", { digest: one }],
    ["MANIFEST_BLOB_UNKNOWN", { digest: two }],
    ["UNSUPPORTED", undefined],
  ]);
});

test("a refusal does not tell the rule behind it", () => {
  expect(JSON.stringify(replyTo(samples.DENIED))).not.toContain("internal");
});
