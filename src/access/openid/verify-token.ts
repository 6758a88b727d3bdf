import { type CryptoKey, decodeProtectedHeader, errors, jwtVerify, type ProtectedHeaderParameters } from "jose";
import { z } from "zod";
import { clockToleranceSeconds } from "../tokens.ts";
import { IssuerUnavailable } from "./issuer-unavailable.ts";
import type { Kept } from "./kept.ts";
import type { KeySet, Metadata } from "./metadata.ts";

export interface Expected {
  /** One of them has to be in `aud`; what else of it counts (`azp`, `nonce`) is the caller's to look at. */
  readonly audiences: readonly string[];
  /** By `iat`. */
  readonly maxAgeSeconds: number;
  /** Access tokens are taken too (RFC 9068), which say so: a client has them that nobody has signed in to. */
  readonly accessTokens?: true;
}

export type TokenClaims = Readonly<z.infer<typeof standardClaims>>;

export type TokenFault =
  | "malformed"
  | "algorithm"
  | "key"
  | "signature"
  | "issuer"
  | "audience"
  | "expired"
  | "not-yet"
  | "too-old"
  | "claims";

export type VerifiedToken =
  | { readonly kind: "verified"; readonly claims: TokenClaims }
  | { readonly kind: "refused"; readonly fault: TokenFault }
  /** `why` is for the log: nothing of the token or of what the issuer sent is in it. */
  | { readonly kind: "unavailable"; readonly why: string };

export const longestTokenCharacters = 16 * 1024;

/** Signatures that a public key verifies; no secret is shared with anyone. */
const algorithms = "RS256 RS384 RS512 PS256 PS384 PS512 ES256 ES384 ES512 EdDSA Ed25519".split(" ");

const seconds = z.number().min(0).max(Number.MAX_SAFE_INTEGER);
const standardClaims = z.looseObject({
  iss: z.string(),
  sub: z.string().min(1),
  aud: z.union([z.string(), z.array(z.string())]),
  exp: seconds,
  iat: seconds,
});

interface Verifying extends Expected {
  readonly issuer: string;
  readonly metadata: Kept<Metadata>;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

const refused = (fault: TokenFault): VerifiedToken => ({ kind: "refused", fault });

/** Whether a token is the issuer's, meant for us, and good now. */
export async function verifyToken(token: string, verifying: Verifying): Promise<VerifiedToken> {
  const header = token.length > longestTokenCharacters ? undefined : headerOf(token);
  if (header === undefined || !isWantedType(header.typ, verifying)) return refused("malformed");
  if (!algorithms.includes(header.alg ?? "")) return refused("algorithm");
  let key: CryptoKey | undefined;
  try {
    key = await findKey(header, verifying.metadata);
  } catch (error) {
    if (error instanceof IssuerUnavailable) return { kind: "unavailable", why: error.message };
    throw error;
  }
  return key === undefined ? refused("key") : verifyWith(key, token, verifying);
}

function headerOf(token: string): ProtectedHeaderParameters | undefined {
  try {
    return decodeProtectedHeader(token);
  } catch {
    return undefined;
  }
}

/** A token with another type is meant for something else, such as a logout. */
function isWantedType(type: unknown, { accessTokens }: Expected): boolean {
  if (type === undefined) return true;
  const name = typeof type === "string" ? type.toLowerCase().replace(/^application\//, "") : undefined;
  return name === "jwt" || (accessTokens === true && name === "at+jwt");
}

/** Of those that the issuer has now: one that it has just begun to use is asked for. @throws IssuerUnavailable */
async function findKey(header: ProtectedHeaderParameters, metadata: Kept<Metadata>): Promise<CryptoKey | undefined> {
  const found = await keyIn((await metadata.current()).keys, header);
  if (found !== "unknown") return found;
  const renewed = await metadata.renewed();
  const later = renewed && (await keyIn(renewed.keys, header));
  return later === "unknown" ? undefined : later;
}

/** `undefined`: one that is no good, or more than one. Only what the set says of keys counts, never a token's header. */
async function keyIn(
  keys: KeySet,
  { alg, kid }: ProtectedHeaderParameters,
): Promise<CryptoKey | "unknown" | undefined> {
  try {
    return await keys({ alg: alg ?? "", ...(kid !== undefined && { kid }) });
  } catch (error) {
    return error instanceof errors.JWKSNoMatchingKey ? "unknown" : undefined;
  }
}

async function verifyWith(key: CryptoKey, token: string, verifying: Verifying): Promise<VerifiedToken> {
  const { issuer, audiences, maxAgeSeconds, now } = verifying;
  try {
    const { payload } = await jwtVerify(token, key, {
      algorithms,
      issuer,
      audience: [...audiences],
      requiredClaims: ["sub", "exp"],
      maxTokenAge: maxAgeSeconds,
      clockTolerance: clockToleranceSeconds,
      currentDate: new Date(now()),
    });
    const claims = standardClaims.safeParse(payload);
    return claims.success ? { kind: "verified", claims: claims.data } : refused("claims");
  } catch (error) {
    // jose's word for a key that is too weak.
    if (error instanceof TypeError) return refused("key");
    if (!(error instanceof errors.JOSEError)) throw error;
    return refused(faultIn(error));
  }
}

const faultOfClaim: Readonly<Record<string, TokenFault>> = { iss: "issuer", aud: "audience", nbf: "not-yet" };

function faultIn(error: errors.JOSEError): TokenFault {
  if (error instanceof errors.JWTExpired) return error.claim === "exp" ? "expired" : "too-old";
  if (error instanceof errors.JWTClaimValidationFailed) {
    if (error.reason !== "check_failed") return "claims";
    return error.claim === "iat" ? "not-yet" : (faultOfClaim[error.claim] ?? "claims");
  }
  if (error instanceof errors.JWSSignatureVerificationFailed) return "signature";
  return error instanceof errors.JOSEAlgNotAllowed || error instanceof errors.JOSENotSupported
    ? "algorithm"
    : "malformed";
}
