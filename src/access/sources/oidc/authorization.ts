import { hash, randomBytes, timingSafeEqual } from "node:crypto";
import type { OidcSettings } from "../../../platform/config/oidc-source-schema.ts";
import { loggable } from "../../../platform/telemetry/loggable.ts";
import type { Discovery } from "../../openid/metadata.ts";
import type { BroughtBack, PendingSignIn } from "../source.ts";
import { requireEndpoint } from "./ask-provider.ts";

const randomText = (): string => randomBytes(32).toString("base64url");

/** A request for a code (RFC 6749, 4.1.1), always with PKCE, a state and a nonce. @throws SourceUnavailable */
export function authorizationRequest(
  { clientId, scopes }: OidcSettings,
  discovery: Discovery,
  redirectUri: string,
): { readonly url: string; readonly pending: PendingSignIn } {
  const pending = { state: randomText(), nonce: randomText(), verifier: randomText(), redirectUri };
  const url = new URL(requireEndpoint(discovery.authorization_endpoint, "authorization_endpoint"));
  const parameters = {
    response_type: "code",
    client_id: clientId,
    redirect_uri: redirectUri,
    scope: scopes.join(" "),
    state: pending.state,
    nonce: pending.nonce,
    code_challenge: hash("sha256", pending.verifier, "base64url"),
    code_challenge_method: "S256",
  };
  for (const [name, value] of Object.entries(parameters)) url.searchParams.set(name, value);
  return { url: url.href, pending };
}

const mostErrorCharacters = 64;
const mostCodeCharacters = 4096;

export type BroughtCode =
  | { readonly kind: "code"; readonly code: string }
  | { readonly kind: "refused"; readonly why: string };

const refused = (why: string): BroughtCode => ({ kind: "refused", why });

/** The code of an answer that is this sign-in's, and this issuer's (RFC 9207). */
export function codeOf(pending: PendingSignIn, brought: BroughtBack, discovery: Discovery): BroughtCode {
  const { code, state, issuer, error } = brought;
  if (state === undefined || !isSame(state, pending.state)) return refused("the state is not that of this sign-in");
  const mustName = discovery.authorization_response_iss_parameter_supported === true;
  if (issuer === undefined ? mustName : issuer !== discovery.issuer)
    return refused("the answer is another issuer's, or does not say whose");
  if (error !== undefined) return refused(`the provider answers ${loggable(error, mostErrorCharacters)}`);
  if (code === undefined || code === "" || code.length > mostCodeCharacters) return refused("there is no code");
  return { kind: "code", code };
}

export const isSame = (given: string, kept: string): boolean =>
  timingSafeEqual(hash("sha256", given, "buffer"), hash("sha256", kept, "buffer"));
