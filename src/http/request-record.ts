import { type Caller, principalName } from "../access/principal.ts";
import type { RepositoryName } from "../oci/names.ts";
import type { Incoming, Reply } from "../platform/runtime/http.ts";
import { loggable } from "../platform/telemetry/loggable.ts";
import type { LogFields } from "../platform/telemetry/log.ts";
import { methodLabel } from "../platform/telemetry/metrics.ts";
import type { Told } from "./problem-reply.ts";
import type { EndedRequest } from "../platform/telemetry/tracing/tracer.ts";

/** What a site finds out of a request, for its line in the log and its place in the metrics. */
export interface RequestNotes {
  caller?: Caller;
  /** Which of our own endpoints answers: a word of the program, never of the client. */
  handler?: string;
  /** Which one the request is about, whoever may know of it. */
  repository?: RepositoryName;
  /** How the site that answers writes down what is refused; as the registry protocol does where it says nothing. */
  writeProblems?: (told: Told, request: Incoming) => Reply;
}

/** What any path and agent of ours have room in. */
const mostPathCharacters = 512;
const mostAgentCharacters = 256;

/** What the log, a trace and an error's line have of a request in common. */
export function asked({ requestId, method, path }: Incoming): LogFields {
  return { requestId, method: loggable(method, 32), path: loggable(path, mostPathCharacters) };
}

export interface Ended {
  readonly status: number;
  readonly durationMs: number;
  readonly traceId: string | undefined;
}

/** The line of a request in the log. */
export const requestLine = (request: Incoming, notes: RequestNotes, ended: Ended): LogFields => ({
  ...asked(request),
  status: ended.status,
  durationMs: Math.round(ended.durationMs * 1000) / 1000,
  principal: notes.caller && principalName(notes.caller.principal),
  remoteAddress: request.remoteAddress,
  proxyAddress: request.proxyAddress,
  userAgent: agentOf(request),
  traceId: ended.traceId,
});

/** Its span, by OpenTelemetry's names; there is nothing in it that the log does not have. */
export function requestSpan(
  request: Incoming,
  { handler = "none", caller }: RequestNotes,
  status: number,
): EndedRequest {
  const method = methodLabel(request.method);
  return {
    name: `${method === "other" ? "HTTP" : method} ${handler}`,
    isError: status >= 500,
    attributes: {
      "http.request.method": method === "other" ? "_OTHER" : method,
      "http.route": handler,
      "http.response.status_code": status,
      "url.scheme": request.scheme,
      "url.path": loggable(request.path, mostPathCharacters),
      "client.address": request.remoteAddress,
      "user_agent.original": agentOf(request),
      "user.name": caller && principalName(caller.principal),
      "berth.request_id": request.requestId,
    },
  };
}

function agentOf({ headers }: Incoming): string | undefined {
  const agent = headers.get("user-agent");
  return agent === undefined ? undefined : loggable(agent, mostAgentCharacters);
}
