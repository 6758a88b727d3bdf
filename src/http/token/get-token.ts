import type { Access } from "../../access/open-access.ts";
import type { Handle } from "../../platform/runtime/http.ts";
import { answerTokenRequest } from "./answer-token-request.ts";
import { tokenReply } from "./token-reply.ts";
import { parseTokenQuery } from "./token-request.ts";

/** GET /token: docker's "token authentication specification". */
export const getToken =
  (access: Access): Handle =>
  async (request) => {
    const parsed = parseTokenQuery(request.query, request.headers.get("authorization"), access.service);
    const answer = parsed.kind === "refused" ? parsed : await answerTokenRequest(access, parsed.request, request);
    return tokenReply(answer, access.service);
  };
