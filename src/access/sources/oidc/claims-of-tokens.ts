import { parseJsonObject } from "../../../oci/json.ts";
import type { OidcSettings } from "../../../platform/config/oidc-source-schema.ts";
import type { Issuer } from "../../openid/issuer.ts";
import { type PendingSignIn, SourceUnavailable } from "../source.ts";
import { isSame } from "./authorization.ts";
import { type Claims, claimAt } from "./identity-of-claims.ts";

export type FoundClaims =
  | { readonly kind: "claims"; readonly claims: Claims }
  | { readonly kind: "refused"; readonly why: string };

interface Tokens {
  readonly idToken: string;
  readonly accessToken: string | undefined;
}

/** An ID token is asked for, made and read within seconds. */
const oldestTokenSeconds = 600;

/**
 * What the ID token says, and what else the provider tells of the same person where something that is asked for is not in
 * it. The token's own words come first.
 * @throws SourceUnavailable, OutboundError
 */
export async function claimsOfTokens(
  issuer: Issuer,
  settings: OidcSettings,
  { idToken, accessToken, pending }: Tokens & { readonly pending: Pick<PendingSignIn, "nonce"> },
): Promise<FoundClaims> {
  const { clientId } = settings;
  const verified = await issuer.verify(idToken, { audiences: [clientId], maxAgeSeconds: oldestTokenSeconds });
  if (verified.kind === "unavailable") throw new SourceUnavailable(verified.why);
  if (verified.kind === "refused") return refused(`the ID token is no good: ${verified.fault}`);
  const { claims } = verified;
  const fault = faultOf(settings, claims, pending.nonce);
  if (fault !== undefined) return refused(`the ID token is no good: ${fault}`);
  const { userinfo_endpoint: url } = await issuer.discover();
  if (!lacks(settings, claims) || url === undefined || accessToken === undefined) return { kind: "claims", claims };
  const more = await userinfo(issuer, url, accessToken);
  // Section 5.3.2 of OpenID Connect Core: what is said of another must not be used.
  if (more["sub"] !== claims.sub) return refused("its userinfo endpoint tells of somebody else");
  return { kind: "claims", claims: { ...more, ...claims } };
}

const refused = (why: string): FoundClaims => ({ kind: "refused", why });

/** What is left of section 3.1.3.7 of OpenID Connect Core. */
function faultOf(settings: OidcSettings, claims: Claims, nonce: string): string | undefined {
  const { clientId, audiences, authorizedParties } = settings;
  if (typeof claims["nonce"] !== "string" || !isSame(claims["nonce"], nonce)) return "nonce";
  const aud = Array.isArray(claims["aud"]) ? claims["aud"] : [claims["aud"]];
  const isTrusted = (one: unknown): boolean => one === clientId || (typeof one === "string" && audiences.includes(one));
  if (!aud.every(isTrusted)) return "audience";
  const party = claims["azp"];
  if (party === undefined) return undefined;
  const isKnown = party === clientId || (typeof party === "string" && authorizedParties.includes(party));
  return isKnown ? undefined : "azp";
}

/** Whether something that was configured is not in the token: by the specification, most of it need not be. */
function lacks({ nameClaim, groups }: OidcSettings, claims: Claims): boolean {
  const wanted = [nameClaim, ...(groups === undefined ? [] : [groups.claim])];
  return wanted.some((name) => claimAt(claims, name) === undefined);
}

async function userinfo(issuer: Issuer, url: string, accessToken: string): Promise<Claims> {
  const reply = await issuer.ask({
    url,
    headers: { authorization: `Bearer ${accessToken}`, accept: "application/json" },
  });
  const told = parseJsonObject(await reply.bytes());
  if (reply.status === 200 && told !== undefined) return told;
  throw new SourceUnavailable(`its userinfo endpoint answers ${reply.status}`);
}
