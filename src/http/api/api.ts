import type { KeyObject } from "node:crypto";
import type { Access } from "../../access/open-access.ts";
import { fail } from "../../oci/problem.ts";
import type { Incoming, Reply } from "../../platform/runtime/http.ts";
import type { RequestNotes } from "../request-record.ts";
import type { Vouching } from "../vouching.ts";
import { type AnsweringDeps, answerCall, apiBase } from "./answer-call.ts";
import { apiCaller } from "./api-caller.ts";
import { apiPage } from "./api-page.ts";
import { apiRoutes, type RoutesDeps } from "./api-routes.ts";
import { crossOrigin } from "./cross-origin.ts";
import { idempotentAnswers } from "./idempotent-answers.ts";
import { type Match, routeMatcher } from "./match-route.ts";
import { openApiOf } from "./openapi.ts";
import { problemJson } from "./problem-json.ts";

export interface ApiDeps extends RoutesDeps {
  readonly access: Access;
  readonly answersKey: KeyObject;
  readonly publicUrl: string | undefined;
  readonly vouching?: Vouching | undefined;
  /** `http.corsOrigins` */
  readonly origins: readonly string[];
  readonly version: string;
}

export type AnswerApi = (request: Incoming, notes: RequestNotes) => Promise<Reply>;

/** All below `/api/v1`. It is made of its routes' list, at the first request. */
export function openApi(deps: ApiDeps): AnswerApi {
  const { access, database, publicUrl, now } = deps;
  const routes = apiRoutes(deps);
  const contracts = routes.map(({ contract }) => contract);
  const matchRoute = routeMatcher(apiBase, routes);
  const origins = crossOrigin(deps.origins);
  const answering: AnsweringDeps = {
    database,
    authorize: access.authorize,
    answers: idempotentAnswers({ database, key: deps.answersKey, now }),
    callerOf: apiCaller({ ...access, publicUrl, vouching: deps.vouching }),
    publicUrl,
    longestSessionMs: access.sessions.settings.longestMs,
  };
  const documents = documentsOf(deps.version, contracts);
  const readable = (reply: Reply, request: Incoming): Reply => ({
    ...reply,
    headers: { ...reply.headers, ...origins.headers(request) },
  });
  return async (request, notes) => {
    notes.writeProblems = (told, refused) => readable(problemJson(told, refused), refused);
    const asked = origins.preflight(request);
    if (asked !== undefined) return asked;
    const document = documents.get(request.path);
    if (document !== undefined) {
      notes.handler = document.handler;
      requireMethod(request, { GET: true });
      return document.reply();
    }
    const match = matchRoute(request.path) ?? fail({ code: "ROUTE_UNKNOWN" });
    notes.handler = match.template;
    requireMethod(request, match.byMethod);
    const route = match.byMethod[request.method === "HEAD" ? "GET" : request.method];
    if (route === undefined) return fail({ code: "ROUTE_UNKNOWN" });
    const onCaller: Parameters<typeof answerCall>[1]["onCaller"] = (caller) => {
      notes.caller = caller;
    };
    const reply = await answerCall(answering, { request, route, match, onCaller });
    return readable(reply, request);
  };
}

function documentsOf(version: string, contracts: Parameters<typeof openApiOf>[0]) {
  let file: Reply | undefined;
  let page: Reply | undefined;
  const openApiFile = (): Reply =>
    (file ??= {
      kind: "json",
      status: 200,
      headers: { "cache-control": "no-store" },
      body: openApiOf(contracts, version),
    });
  const forPeople = { handler: `${apiBase}/`, reply: () => (page ??= apiPage(contracts)) };
  return new Map([
    [`${apiBase}/openapi.json`, { handler: `${apiBase}/openapi.json`, reply: openApiFile }],
    [`${apiBase}/`, forPeople],
    [apiBase, forPeople],
  ]);
}

/** @throws RegistryError METHOD_UNSUPPORTED */
function requireMethod({ method }: Incoming, methods: Readonly<Record<string, unknown>> | Match["byMethod"]): void {
  const allow = Object.keys(methods).flatMap((one) => (one === "GET" ? ["GET", "HEAD"] : [one]));
  if (!allow.includes(method)) fail({ code: "METHOD_UNSUPPORTED", allow, reason: "this method does nothing here" });
}
