import type { Access } from "../../access/open-access.ts";
import type { Handle, Incoming } from "../../platform/runtime/http.ts";
import { readForm } from "../read-form.ts";
import { answerTokenRequest } from "./answer-token-request.ts";
import { tokenReply } from "./token-reply.ts";
import { type ParsedTokenRequest, parseTokenForm, type TokenRefusal } from "./token-request.ts";

const longestFormBytes = 16 * 1024;

/** POST /token: docker's "OAuth2 token authentication". */
export const postToken =
  (access: Access): Handle =>
  async (request) => {
    const parsed = await parse(request, access.service);
    const answer = parsed.kind === "refused" ? parsed : await answerTokenRequest(access, parsed.request, request);
    return tokenReply(answer, access.service);
  };

async function parse(request: Incoming, service: string): Promise<ParsedTokenRequest> {
  const read = await readForm(request, longestFormBytes);
  if (read.kind === "form") return parseTokenForm(read.form, service);
  return read.kind === "too-long" ? tooLong : notAForm;
}

const refused = (reason: string): TokenRefusal => ({ kind: "refused", status: 400, error: "invalid_request", reason });
const notAForm = refused("the body must be application/x-www-form-urlencoded");
const tooLong = refused("the body is longer than 16 KiB");
