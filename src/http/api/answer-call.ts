import type { Contract } from "../../access/api/contract.ts";
import type { Call, Route } from "../../access/api/route.ts";
import type { Authorize } from "../../access/authorize.ts";
import { envelopeOf } from "../../access/envelope.ts";
import type { Caller } from "../../access/principal.ts";
import { fail } from "../../oci/problem.ts";
import type { JsonValue } from "../../oci/json.ts";
import type { Database } from "../../platform/database/database.ts";
import type { Incoming, Reply, ReplyHeaders } from "../../platform/runtime/http.ts";
import { committer } from "./commit-once.ts";
import { type IdempotentAnswers, type Keyed, keyedRequest } from "./idempotent-answers.ts";
import { locationOf, type Match } from "./match-route.ts";
import { readBody, readParams, readQuery, toInput } from "./read-input.ts";
import { requireNeed } from "./require-need.ts";
import { endedCookie, isFromPage, readSessionCookie, requireOwnPage, sessionCookie } from "./session-cookie.ts";

export interface AnsweringDeps {
  readonly database: Database;
  readonly authorize: Authorize;
  readonly answers: IdempotentAnswers;
  readonly callerOf: (request: Incoming) => Promise<Caller>;
  readonly publicUrl: string | undefined;
  readonly longestSessionMs: number;
}

interface Asked {
  readonly request: Incoming;
  readonly route: Route;
  readonly match: Match;
  /** What is found of who asks, for the log. */
  readonly onCaller: (caller: Caller) => void;
}

export const apiBase = "/api/v1";

/** One request to a route, from who it is to what is sent. */
export async function answerCall(deps: AnsweringDeps, { request, route, match, onCaller }: Asked): Promise<Reply> {
  const { contract } = route;
  const caller = await callerOf(deps, contract, request);
  onCaller(caller);
  const needed = { need: contract.need, given: match.given };
  await requireNeed({ authorize: deps.authorize, read: deps.database.read }, caller, needed);
  const params = readParams(contract, match.given);
  const { query, dryRun } = readQuery(contract, request);
  const { body, bytes } = await readBody(contract, request);
  const keyed = takesKey(contract) ? keyedBy(caller, request, bytes) : undefined;
  const known = keyed && (await deps.answers.find(keyed));
  if (known !== undefined) return replyOf(contract, known.value);
  const envelope = envelopeOf(caller, request);
  const cookies: string[] = [];
  const encode = encoder(contract);
  const value = await route.run({
    ...toInput({ params, query, body }),
    caller,
    by: caller,
    envelope,
    remoteAddress: request.remoteAddress,
    dryRun,
    expected: expectedRevision(contract, request),
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- what the work of this route gives is what it gets
    commit: committer({
      database: deps.database,
      envelope,
      dryRun,
      once: keyed && { answers: deps.answers, keyed, encode },
    }) as Call<Contract>["commit"],
    session: {
      secret: readSessionCookie(request),
      keep: (secret) => void cookies.push(sessionCookie(request.scheme, secret, deps.longestSessionMs)),
      drop: () => void cookies.push(endedCookie(request.scheme)),
    },
    confirm: (authorize, tx) => requireNeed({ authorize, read: tx }, caller, needed),
  });
  if (contract.streams !== undefined) return streamReply(contract.streams, value);
  return replyOf(contract, encode(value), cookies.length === 0 ? {} : { "set-cookie": cookies });
}

/** Nothing that the contract does not name is sent, whatever the value has. */
export const encoder =
  ({ output, streams }: Contract) =>
  (value: unknown): unknown =>
    streams === undefined ? output?.parse(value, { jitless: true }) : value;

/** Whoever asked may have gone before the first piece is read. */
const streamReply = (type: string, value: unknown): Reply => ({
  kind: "blob",
  status: 200,
  headers: { "content-type": `${type}; charset=utf-8`, "cache-control": "no-store" },
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- what a contract that streams gives
  body: { kind: "stream", chunks: encodeChunks(value as AsyncIterable<string>) },
});

async function* encodeChunks(texts: AsyncIterable<string>): AsyncGenerator<Uint8Array> {
  for await (const text of texts) yield Buffer.from(text);
}

function callerOf(deps: AnsweringDeps, { need, method }: Contract, request: Incoming): Promise<Caller> | Caller {
  if (need !== "nothing") return deps.callerOf(request);
  if (method !== "GET" && isFromPage(request)) requireOwnPage(request, deps.publicUrl);
  return { principal: { kind: "anonymous" } };
}

export const takesKey = ({ creates, madeOnce }: Contract): boolean => creates !== undefined || madeOnce === true;

function keyedBy({ principal }: Caller, { method, path, headers }: Incoming, bytes: Uint8Array): Keyed | undefined {
  const key = headers.get("idempotency-key");
  return keyedRequest({
    key,
    principal: principal.kind === "anonymous" ? "" : principal.id,
    parts: [method, path, bytes],
  });
}

const revisionTag = /^"(\d{1,15})"$/;
const noRevision = -1;

/** @throws RegistryError REVISION_REQUIRED */
function expectedRevision({ versioned, method }: Contract, { headers }: Incoming): number | undefined {
  const given = headers.get("if-match")?.trim();
  if (versioned !== true || method === "GET" || method === "POST") return undefined;
  if (given === undefined) return fail({ code: "REVISION_REQUIRED" });
  if (given === "*") return undefined;
  const [, revision] = revisionTag.exec(given) ?? [];
  return revision === undefined ? noRevision : Number(revision);
}

function replyOf(contract: Contract, value: unknown, more: ReplyHeaders = {}): Reply {
  const headers = { "cache-control": "no-store", ...more };
  if (value === undefined) return { kind: "empty", status: 204, headers };
  const location = locationOf(apiBase, contract, value);
  const revision = contract.versioned === true ? revisionOf(value) : undefined;
  return {
    kind: "json",
    status: location === undefined ? 200 : 201,
    headers: {
      ...headers,
      ...(location !== undefined && { location }),
      ...(revision !== undefined && { etag: `"${revision}"` }),
    },
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- outputs are schemas of JSON
    body: value as JsonValue,
  };
}

function revisionOf(value: unknown): number | undefined {
  if (typeof value !== "object" || value === null || !("revision" in value)) return undefined;
  return typeof value.revision === "number" ? value.revision : undefined;
}
