import { type Account, principalOf } from "../../access/accounts.ts";
import { grantable } from "../../access/grantable.ts";
import type { Access } from "../../access/open-access.ts";
import { anonymous } from "../../access/principal.ts";
import type { Grant } from "../../access/scope.ts";
import type { IssuedToken } from "../../access/tokens.ts";
import { badCredentials, type TokenRefusal, type TokenRequest } from "./token-request.ts";

export interface GrantedToken {
  readonly kind: "granted";
  readonly issued: IssuedToken;
  readonly granted: readonly Grant[];
  readonly refreshToken: string | undefined;
}

/**
 * Issues what of the request may be had, which can be nothing: only bad credentials are refused.
 * @throws RegistryError TOO_MANY_REQUESTS
 */
export async function answerTokenRequest(
  access: Access,
  request: TokenRequest,
  remoteAddress: string,
): Promise<GrantedToken | TokenRefusal> {
  const owner = await ownerOf(access, request.credentials, remoteAddress);
  if (owner.kind === "refused") return owner;
  const { account } = owner;
  const { principal } = account === undefined ? anonymous : { principal: principalOf(account) };
  const granted = await grantable(access.authorize, { principal, remoteAddress }, request.scopes);
  const issued = await access.tokens.issue(account, granted);
  const refreshToken =
    account !== undefined && request.wantsRefreshToken ? await refreshTokenFor(access, account, request) : undefined;
  return { kind: "granted", issued, granted, refreshToken };
}

type Owner = { readonly kind: "owner"; readonly account: Account | undefined } | TokenRefusal;

async function ownerOf(
  access: Access,
  credentials: TokenRequest["credentials"],
  remoteAddress: string,
): Promise<Owner> {
  switch (credentials.kind) {
    case "none":
      return { kind: "owner", account: undefined };
    case "password": {
      const verified = await access.verifyPassword({ ...credentials, remoteAddress });
      if (verified.kind === "malformed") return malformedPassword;
      return verified.kind === "account" ? { kind: "owner", account: verified.account } : badCredentials;
    }
    case "refresh-token": {
      const account = await access.refreshTokens.use(credentials.text);
      return account === undefined ? badCredentials : { kind: "owner", account };
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

/** docker keeps the one it has for as long as it works, so it is given back rather than replaced. */
const refreshTokenFor = async (access: Access, account: Account, { credentials }: TokenRequest): Promise<string> =>
  credentials.kind === "refresh-token" ? credentials.text : access.refreshTokens.issue(account);
