import { type Grant, parseScopes } from "../../access/scope.ts";
import { parseAuthorization } from "../authorization-header.ts";

/** What is asked of the token service, whichever of its two forms was used. */
export interface TokenRequest {
  readonly credentials:
    | { readonly kind: "none" }
    | { readonly kind: "password"; readonly name: string; readonly password: string }
    | { readonly kind: "refresh-token"; readonly text: string }
    /** Another issuer's token, exchanged for one of ours (RFC 8693); `name` is the robot's. */
    | { readonly kind: "exchange"; readonly name: string; readonly token: string };
  readonly scopes: readonly Grant[];
  readonly wantsRefreshToken: boolean;
}

/** `error` as OAuth 2 names it (RFC 6749, 5.2). */
export interface TokenRefusal {
  readonly kind: "refused";
  readonly status: 400 | 401;
  readonly error: "invalid_request" | "invalid_grant" | "invalid_scope" | "invalid_target" | "unsupported_grant_type";
  readonly reason: string;
}

export type ParsedTokenRequest = { readonly kind: "request"; readonly request: TokenRequest } | TokenRefusal;

const refuse = (error: TokenRefusal["error"], reason: string): TokenRefusal => ({
  kind: "refused",
  status: 400,
  error,
  reason,
});

/** One answer to all credentials that are not good, so that it tells nothing about any account. */
export const badCredentials: TokenRefusal = {
  kind: "refused",
  status: 401,
  error: "invalid_grant",
  reason: "incorrect username or password",
};

/** The same of another issuer's token (RFC 8693, 2.2.2). */
export const badSubjectToken: TokenRefusal = refuse(
  "invalid_request",
  "subject_token is not accepted for the robot that client_id names",
);

/** GET, with Basic credentials or none (docker's "token authentication specification"). */
export function parseTokenQuery(
  query: URLSearchParams,
  authorization: string | undefined,
  service: string,
): ParsedTokenRequest {
  const given = parseAuthorization(authorization);
  if (given.kind === "bearer" || given.kind === "malformed") return badCredentials;
  const credentials = given.kind === "basic" ? ({ ...given, kind: "password" } as const) : ({ kind: "none" } as const);
  return complete(query, service, {
    credentials,
    wantsRefreshToken: query.get("offline_token") === "true" && credentials.kind !== "none",
  });
}

const once =
  "grant_type username password refresh_token client_id subject_token subject_token_type requested_token_type".split(
    " ",
  );

/** POST, a form (docker's "OAuth2 token authentication", and RFC 8693). */
export function parseTokenForm(form: URLSearchParams, service: string): ParsedTokenRequest {
  for (const name of once) {
    if (form.getAll(name).length > 1) return refuse("invalid_request", `${name} is given more than once`);
  }
  const wantsRefreshToken = form.get("access_type") === "offline";
  switch (form.get("grant_type")) {
    case "password": {
      const [name, password] = [form.get("username"), form.get("password")];
      if (name === null || password === null) return refuse("invalid_request", "username and password are needed");
      return complete(form, service, { credentials: { kind: "password", name, password }, wantsRefreshToken });
    }
    case "refresh_token": {
      const text = form.get("refresh_token");
      if (text === null) return refuse("invalid_request", "refresh_token is needed");
      return complete(form, service, { credentials: { kind: "refresh-token", text }, wantsRefreshToken });
    }
    case exchangeGrant:
      return parseExchange(form, service);
    case null:
      return refuse("invalid_request", "grant_type is needed");
    default:
      return refuse("unsupported_grant_type", `grant_type is password, refresh_token or ${exchangeGrant}`);
  }
}

const exchangeGrant = "urn:ietf:params:oauth:grant-type:token-exchange";
const tokenType = (name: string): string => `urn:ietf:params:oauth:token-type:${name}`;
const subjectTypes: ReadonlySet<string | null> = new Set([tokenType("jwt"), tokenType("id_token")]);
export const issuedType = tokenType("access_token");
const requestedTypes: ReadonlySet<string | null> = new Set([null, issuedType, tokenType("jwt")]);

/** The robot is the client: without a secret of its own, it is known by what it shows. */
function parseExchange(form: URLSearchParams, service: string): ParsedTokenRequest {
  const [name, token] = [form.get("client_id"), form.get("subject_token")];
  if (token === null) return refuse("invalid_request", "subject_token is needed");
  if (name === null) return refuse("invalid_request", "client_id is needed: the robot's name");
  if (!subjectTypes.has(form.get("subject_token_type"))) {
    return refuse("invalid_request", `subject_token_type is ${[...subjectTypes].join(" or ")}`);
  }
  if (!requestedTypes.has(form.get("requested_token_type"))) {
    return refuse("invalid_request", `requested_token_type is ${issuedType}, where it is given`);
  }
  if (form.has("actor_token") || form.has("actor_token_type")) {
    return refuse("invalid_request", "nobody acts for another here: actor_token is not taken");
  }
  if (form.has("resource") || form.getAll("audience").some((given) => given !== service)) {
    return refuse("invalid_target", "this is not the service that tokens are issued for");
  }
  return complete(form, service, { credentials: { kind: "exchange", name, token }, wantsRefreshToken: false });
}

/** What both forms share. There is one service; who asks for a token for another must not get one that works here. */
function complete(
  parameters: URLSearchParams,
  service: string,
  rest: Omit<TokenRequest, "scopes">,
): ParsedTokenRequest {
  if (parameters.getAll("service").some((given) => given !== service)) {
    return refuse("invalid_request", "this is not the service that tokens are issued for");
  }
  const scopes = parseScopes(parameters.getAll("scope"));
  if (scopes.kind === "too-many") return refuse("invalid_scope", "too many scopes for one token");
  return { kind: "request", request: { ...rest, scopes: scopes.scopes } };
}
