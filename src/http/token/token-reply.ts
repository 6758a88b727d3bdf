import { formatScope } from "../../access/scope.ts";
import type { Reply } from "../../platform/runtime/http.ts";
import { basicChallenge } from "../challenge.ts";
import type { GrantedToken } from "./answer-token-request.ts";
import { issuedType, type TokenRefusal } from "./token-request.ts";

export const tokenReply = (answer: GrantedToken | TokenRefusal, service: string): Reply =>
  answer.kind === "granted" ? grantedReply(answer) : refusalReply(answer, service);

/** The same for both forms: docker's GET reads `token`, OAuth 2 clients `access_token`. */
const grantedReply = ({ issued, granted, refreshToken, isExchanged }: GrantedToken): Reply => ({
  kind: "json",
  status: 200,
  headers: { "cache-control": "no-store" },
  body: {
    token: issued.token,
    access_token: issued.token,
    token_type: "Bearer",
    ...(isExchanged && { issued_token_type: issuedType }),
    expires_in: issued.expiresInSeconds,
    issued_at: issued.issuedAt.toISOString(),
    scope: granted.map(formatScope).join(" "),
    ...(refreshToken === undefined ? {} : { refresh_token: refreshToken }),
  },
});

/** In the words of the registry protocol, which container clients show, and in those of OAuth 2. */
const refusalReply = ({ status, error, reason }: TokenRefusal, service: string): Reply => ({
  kind: "json",
  status,
  headers: {
    "cache-control": "no-store",
    ...(status === 401 ? { "www-authenticate": basicChallenge(service) } : {}),
  },
  body: {
    errors: [{ code: status === 401 ? "UNAUTHORIZED" : error.toUpperCase(), message: reason }],
    error,
    error_description: reason,
  },
});
