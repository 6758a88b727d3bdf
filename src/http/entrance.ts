import { fail, RegistryError } from "../oci/problem.ts";
import { ClientGoneError, type Handle, type Incoming, type Reply, SlowBodyError } from "../platform/runtime/http.ts";
import { storageProblem } from "../platform/storage/storage-problem.ts";
import type { Log } from "../platform/telemetry/log.ts";
import type { Metrics } from "../platform/telemetry/metrics.ts";
import type { Tracer } from "../platform/telemetry/tracing/tracer.ts";
import type { OnRefused } from "./audit-refusals.ts";
import { type Challenger, parseHost } from "./challenge.ts";
import type { OnEnded } from "./note-usage.ts";
import { errorsReply, problemReply, tellProblems, type Told } from "./problem-reply.ts";
import { asked, type RequestNotes, requestLine, requestSpan } from "./request-record.ts";
import type { TrustProxies } from "./trusted-proxies.ts";

export interface EntranceDeps {
  readonly log: Log;
  readonly metrics: Pick<Metrics, "request">;
  readonly challenge: Challenger;
  readonly trustProxies: TrustProxies;
  readonly tracer: Tracer | undefined;
  readonly onRefused?: OnRefused | undefined;
  readonly onEnded?: OnEnded | undefined;
  /** Asked in turn; the first that knows the path answers. */
  readonly sites: readonly Site[];
}

/** A part of the URL space; `undefined` where the path is not its own. What need not wait is no promise. */
export type Site = (request: Incoming, notes: RequestNotes) => Promise<Reply | undefined> | Reply | undefined;

/** On every answer: docker looks for the first, and a blob is never a page. */
const always = {
  "docker-distribution-api-version": "registry/2.0",
  "x-content-type-options": "nosniff",
} as const;

/** Every request comes in here: one answer, one line in the log. */
export function entrance(deps: EntranceDeps): Handle {
  const noticeForwarding = forwardingNotice(deps.log);
  const answering = { ...deps, requireHost: hostRequirement() };
  return (arrived) => {
    const started = performance.now();
    const request = deps.trustProxies(arrived);
    const notes: RequestNotes = {};
    const span = deps.tracer?.request(request.headers.get("traceparent"));
    const end = (reply: Reply): Reply => {
      const { status } = reply;
      const durationMs = performance.now() - started;
      const { method } = request;
      const traceId = span?.traceId;
      deps.metrics.request({ handler: notes.handler ?? "none", method, status, seconds: durationMs / 1000 });
      deps.onEnded?.(request, notes, reply);
      deps.log.info("request", () => requestLine(request, notes, { status, durationMs, traceId }));
      if (reply.repeats !== true) noticeForwarding(request);
      span?.end(requestSpan(request, notes, status));
      return complete(reply);
    };
    const reply =
      span === undefined ? answer(answering, request, notes) : span.run(() => answer(answering, request, notes));
    return reply instanceof Promise ? reply.then(end) : end(reply);
  };
}

const completed = new WeakMap<Reply, Reply>();

function complete(reply: Reply): Reply {
  if (reply.repeats !== true) return { ...reply, headers: { ...always, ...reply.headers } };
  const known = completed.get(reply) ?? { ...reply, headers: { ...always, ...reply.headers } };
  completed.set(reply, known);
  return known;
}

const forwardingHeaders = ["x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "forwarded"];

/** From anyone but a trusted proxy these count for nothing; whoever runs one learns of it from the log, once. */
function forwardingNotice(log: Log): (request: Incoming) => void {
  let given = false;
  return ({ headers, remoteAddress, proxyAddress }) => {
    if (given || proxyAddress !== undefined) return;
    const header = forwardingHeaders.find((name) => headers.has(name));
    if (header === undefined) return;
    given = true;
    log.warn("forwarding headers are ignored; name the proxy in http.trustedProxies", { header, remoteAddress });
  };
}

interface Answering extends EntranceDeps {
  readonly requireHost: (request: Incoming) => void;
}

function answer(answering: Answering, request: Incoming, notes: RequestNotes): Promise<Reply> | Reply {
  const failed = (error: unknown): Reply => failureReply(answering, request, { notes, error });
  try {
    answering.requireHost(request);
    if (request.hasDotSegments) fail({ code: "NAME_INVALID", given: request.path.slice(0, 255) });
    const reply = askInTurn(answering.sites, request, notes);
    return reply instanceof Promise ? reply.catch(failed) : reply;
  } catch (error) {
    return failed(error);
  }
}

function askInTurn(sites: readonly Site[], request: Incoming, notes: RequestNotes): Promise<Reply> | Reply {
  for (const [at, site] of sites.entries()) {
    const reply = site(request, notes);
    if (reply instanceof Promise) return reply.then((found) => found ?? askInTurn(sites.slice(at + 1), request, notes));
    if (reply !== undefined) return reply;
  }
  return problemReply([{ code: "ROUTE_UNKNOWN" }], () => undefined);
}

interface Failure {
  readonly notes: RequestNotes;
  readonly error: unknown;
}

function failureReply(answering: Answering, request: Incoming, { notes, error }: Failure): Reply {
  if (error instanceof RegistryError) {
    for (const problem of error.problems) answering.onRefused?.(request, notes, problem);
  }
  // Nobody reads this answer; the status is for the log, as many proxies write it.
  if (error instanceof ClientGoneError) return { kind: "empty", status: 499, headers: {} };
  return (notes.writeProblems ?? errorsReply)(tellFailure(answering, request, error), request);
}

function tellFailure({ log, challenge }: Answering, request: Incoming, error: unknown): Told {
  if (error instanceof RegistryError) {
    logProblems(log, request, error);
    const origin = { scheme: request.scheme, host: request.headers.get("host") };
    return tellProblems(error.problems, (wanted) => challenge(origin, wanted));
  }
  if (error instanceof SlowBodyError) return tellProblems([{ code: "BODY_TOO_SLOW" }], () => undefined);
  const problem = storageProblem(error);
  if (problem !== undefined) {
    log.error("storage refused", error, asked(request));
    return tellProblems([problem], () => undefined);
  }
  log.error("request failed", error, asked(request));
  const message = `internal error; the log has it under ${request.requestId}`;
  return { status: 500, headers: {}, errors: [{ problem: "UNKNOWN", code: "UNKNOWN", message }] };
}

/** What the client is not told: that bytes are gone is the operator's to know, and by which rule they were denied. */
function logProblems(log: Log, request: Incoming, { problems }: RegistryError): void {
  for (const problem of problems) {
    if (problem.code === "BLOB_DAMAGED") {
      log.warn("blob damaged", { digest: problem.digest, requestId: request.requestId, path: request.path });
    }
    if (problem.code === "DENIED") log.info("denied", { ...asked(request), rule: problem.rule });
  }
}

/** RFC 9112, 3.2. One that is absent is no fault of HTTP/1.0; nearly every other is the one of the request before. */
function hostRequirement(): (request: Incoming) => void {
  let latest: string | undefined;
  return ({ headers }) => {
    const host = headers.get("host");
    if (host === undefined || host === latest) return;
    if (parseHost(host) === undefined) fail({ code: "HOST_INVALID" });
    latest = host;
  };
}
