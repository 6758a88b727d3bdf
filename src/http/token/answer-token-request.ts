import { principalOf } from "../../access/accounts.ts";
import { envelopeOf } from "../../access/envelope.ts";
import { grantable } from "../../access/grantable.ts";
import type { Access } from "../../access/open-access.ts";
import { anonymous, type Caller } from "../../access/principal.ts";
import type { Grant } from "../../access/scope.ts";
import { type IssuedToken, longestExchangedSeconds, type TokenHolder } from "../../access/tokens.ts";
import type { Envelope } from "../../platform/events/access-event.ts";
import type { Incoming } from "../../platform/runtime/http.ts";
import { badCredentials, badSubjectToken, type TokenRefusal, type TokenRequest } from "./token-request.ts";

export interface GrantedToken {
  readonly kind: "granted";
  readonly issued: IssuedToken;
  readonly granted: readonly Grant[];
  readonly refreshToken: string | undefined;
  readonly isExchanged: boolean;
}

type Sender = Pick<Incoming, "remoteAddress" | "requestId">;

/**
 * Issues what of the request may be had, which can be nothing: only bad credentials are refused.
 * @throws RegistryError TOO_MANY_REQUESTS
 */
export async function answerTokenRequest(
  access: Access,
  request: TokenRequest,
  sender: Sender,
): Promise<GrantedToken | TokenRefusal> {
  const owner = await ownerOf(access, request.credentials, sender);
  if (owner.kind === "refused") return owner;
  const { caller, epoch } = owner;
  const granted = await grantable(access.authorize, { ...caller, remoteAddress: sender.remoteAddress }, request.scopes);
  const holder = holderOf(caller, epoch);
  const isExchanged = request.credentials.kind === "exchange";
  const issued = await access.tokens.issue(holder, granted, {
    until: owner.expiresAt,
    ...(isExchanged && { mostSeconds: longestExchangedSeconds }),
  });
  const refreshToken = request.wantsRefreshToken
    ? await refreshTokenFor(access, holder, { request, by: envelopeOf(caller, sender) })
    : undefined;
  return { kind: "granted", issued, granted, refreshToken, isExchanged };
}

type Owner =
  | { readonly kind: "owner"; readonly caller: Caller; readonly epoch: number; readonly expiresAt?: number }
  | TokenRefusal;

const nobody: Owner = { kind: "owner", caller: anonymous, epoch: 0 };

function holderOf({ principal, tokenId, ruleId }: Caller, epoch: number): TokenHolder | undefined {
  if (principal.kind === "anonymous") return undefined;
  const { kind, id, name } = principal;
  const shown = { ...(tokenId !== undefined && { tokenId }), ...(ruleId !== undefined && { ruleId }) };
  return { id, name, epoch, ...(kind === "robot" && { robot: true }), ...shown };
}

async function ownerOf(
  access: Access,
  credentials: TokenRequest["credentials"],
  { remoteAddress, requestId }: Sender,
): Promise<Owner> {
  switch (credentials.kind) {
    case "none":
      return nobody;
    case "password": {
      const identified = await access.identify({ ...credentials, remoteAddress, requestId });
      if (identified.kind === "malformed") return malformedPassword;
      return identified.kind === "caller" ? { ...identified, kind: "owner" } : badCredentials;
    }
    case "exchange": {
      const { name, token: password } = credentials;
      const identified = await access.identify({ name, password, remoteAddress, requestId, once: true });
      return identified.kind === "caller" ? { ...identified, kind: "owner" } : badSubjectToken;
    }
    case "refresh-token": {
      const account = await access.refreshTokens.use(credentials.text);
      return account === undefined
        ? badCredentials
        : { kind: "owner", caller: { principal: principalOf(account) }, epoch: account.epoch };
    }
    default:
      return credentials satisfies never;
  }
}

const malformedPassword: TokenRefusal = {
  kind: "refused",
  status: 400,
  error: "invalid_request",
  reason: "a password has 1 to 1024 bytes",
};

/**
 * docker keeps the one it has for as long as it works, so it is given back rather than replaced. A personal token or robot
 * secret gets none: it would be one that can more, and outlives it. Clients then keep what they have shown.
 */
async function refreshTokenFor(
  access: Access,
  holder: TokenHolder | undefined,
  { request: { credentials }, by }: { readonly request: TokenRequest; readonly by: Envelope },
): Promise<string | undefined> {
  if (credentials.kind === "refresh-token") return credentials.text;
  const isAccount = holder !== undefined && holder.robot === undefined && holder.tokenId === undefined;
  return isAccount ? access.refreshTokens.issue(holder, by) : undefined;
}
