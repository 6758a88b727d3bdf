import type { TokenClaims, TokenFault } from "../openid/verify-token.ts";
import { holds, valuesOf } from "./claims.ts";
import { formatCondition, type Trust } from "./rule.ts";

/** One thing that has to be so, and whether it is. */
export interface Check {
  readonly what: string;
  readonly ok: boolean;
  /** What the token has, where that is the question. */
  readonly given?: readonly string[];
}

export const maxAgeSeconds = 3600;
const longestLifetimeSeconds = 24 * 3600;

export const isShortLived = ({ iat, exp }: TokenClaims): boolean => exp - iat <= longestLifetimeSeconds;

/** The audiences that a token says it is for. */
export const audiencesOf = (claims: Readonly<Record<string, unknown>>): readonly string[] => {
  const aud = claims["aud"];
  return (Array.isArray(aud) ? aud : [aud]).filter((one: unknown) => typeof one === "string");
};

/** All that a rule asks of claims, each by itself. */
export function judge({ audience, conditions }: Trust, claims: Readonly<Record<string, unknown>>): readonly Check[] {
  const audiences = audiencesOf(claims);
  return [
    { what: `aud=${audience}`, ok: audiences.includes(audience), given: audiences },
    ...conditions.map((condition) => {
      const given = valuesOf(claims, condition.claim);
      return { what: formatCondition(condition), ok: holds(condition.pattern, given), given };
    }),
  ];
}

export const isTrusted = (trust: Trust, claims: TokenClaims): boolean => judge(trust, claims).every(({ ok }) => ok);

/** For whoever tries a token out. */
export const faultTexts: Readonly<Record<TokenFault, string>> = {
  malformed: "it is no signed token (JWT)",
  algorithm: "it is signed in a way that is not taken",
  key: "the issuer has no such key",
  signature: "its signature is not right",
  issuer: "it is another issuer's",
  audience: "it says for no audience that it is",
  expired: "it has run out",
  "not-yet": "it is not good yet",
  "too-old": "it was made more than an hour ago",
  claims: "it has not the claims iss, sub, aud, iat and exp, or not as they must be",
};
