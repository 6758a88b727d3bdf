import type { Access } from "../../access/open-access.ts";
import type { Handle, Incoming } from "../../platform/runtime/http.ts";
import { answerTokenRequest } from "./answer-token-request.ts";
import { tokenReply } from "./token-reply.ts";
import { type ParsedTokenRequest, parseTokenForm, type TokenRefusal } from "./token-request.ts";

const longestFormBytes = 16 * 1024;

/** POST /token: docker's "OAuth2 token authentication". */
export const postToken =
  (access: Access): Handle =>
  async (request) => {
    const parsed = await parse(request, access.service);
    const answer =
      parsed.kind === "refused" ? parsed : await answerTokenRequest(access, parsed.request, request.remoteAddress);
    return tokenReply(answer, access.service);
  };

async function parse(request: Incoming, service: string): Promise<ParsedTokenRequest> {
  const [mediaType = ""] = (request.headers.get("content-type") ?? "").split(";", 1);
  if (mediaType.trim().toLowerCase() !== "application/x-www-form-urlencoded") return notAForm;
  const text = await readText(request);
  return text === undefined ? tooLong : parseTokenForm(new URLSearchParams(text), service);
}

/** `undefined` for more than a form of ours can hold: no more of it is read. */
async function readText({ body, bodyBytes }: Incoming): Promise<string | undefined> {
  if (bodyBytes !== undefined && bodyBytes > longestFormBytes) return undefined;
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of body) {
    length += chunk.byteLength;
    if (length > longestFormBytes) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}

const refused = (reason: string): TokenRefusal => ({ kind: "refused", status: 400, error: "invalid_request", reason });
const notAForm = refused("the body must be application/x-www-form-urlencoded");
const tooLong = refused("the body is longer than 16 KiB");
