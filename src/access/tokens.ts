import { createHash, randomUUID } from "node:crypto";
import { decodeProtectedHeader, errors, jwtVerify, type ProtectedHeaderParameters, SignJWT } from "jose";
import { LRUCache } from "lru-cache";
import { z } from "zod";
import type { Reading } from "../platform/database/prepared.ts";
import { type Account, findAccountById, principalOf } from "./accounts.ts";
import { anonymous, type Caller } from "./principal.ts";
import type { Grant } from "./scope.ts";
import { signingAlgorithm, type SigningKeys } from "./signing-keys.ts";

export interface TokenSettings {
  readonly issuer: string;
  /** The one audience: a token for another service is none for us. */
  readonly service: string;
  readonly ttlSeconds: number;
}

export interface IssuedToken {
  readonly token: string;
  readonly expiresInSeconds: number;
  readonly issuedAt: Date;
}

/** Bearer tokens of the registry protocol: short-lived, signed, and worth no more than their account is today. */
export interface Tokens {
  /** Without an account it is a token for anonymous access. */
  issue(account: Account | undefined, access: readonly Grant[]): Promise<IssuedToken>;
  /** `undefined`: not one of ours, run out, or void since. */
  verify(token: string): Promise<Caller | undefined>;
}

export interface TokensDeps {
  readonly database: Reading;
  readonly keys: Pick<SigningKeys, "current" | "publicKey">;
  readonly settings: TokenSettings;
  readonly now: () => number;
}

/** How far the clocks of two replicas may differ. */
export const clockToleranceSeconds = 60;
const longestTokenCharacters = 16 * 1024;
const mostRememberedCharacters = 8 * 1024 * 1024;
const requiredClaims = ["sub", "exp", "nbf", "iat", "jti", "access"];

const wireAction = z.enum(["pull", "push", "delete", "*"]);
const access = z.array(
  z.strictObject({ type: z.enum(["repository", "registry"]), name: z.string(), actions: z.array(wireAction) }),
);
/** `account` and `epoch` are ours: whose it is, not by the name that another may have tomorrow, and since when. */
const common = z.object({ aud: z.string(), exp: z.number(), access });
const claims = z.union([
  common.extend({ sub: z.string().min(1), account: z.string(), epoch: z.number() }),
  common.extend({ sub: z.literal(""), account: z.undefined().optional(), epoch: z.undefined().optional() }),
]);

interface Trusted {
  readonly kid: string;
  readonly claims: z.infer<typeof claims>;
}

export function createTokens({ database, keys, settings, now }: TokensDeps): Tokens {
  const check = checker({ keys, settings, now });
  const remembered = new LRUCache<string, Trusted>({ max: 10_000, maxSize: mostRememberedCharacters });
  const trusted = async (token: string): Promise<Trusted["claims"] | undefined> => {
    const digest = createHash("sha256").update(token).digest("base64");
    const known = remembered.get(digest);
    if (known !== undefined) {
      const expired = known.claims.exp + clockToleranceSeconds <= now() / 1000;
      if (!expired && (await keys.publicKey(known.kid)) !== undefined) return known.claims;
      remembered.delete(digest);
    }
    const checked = await check(token);
    if (checked !== undefined) remembered.set(digest, checked, { size: token.length });
    return checked?.claims;
  };

  return {
    async issue(account, grants) {
      const { kid, privateKey } = await keys.current();
      const issuedAtSeconds = Math.floor(now() / 1000);
      const owner = account === undefined ? {} : { account: account.id, epoch: account.epoch };
      const token = await new SignJWT({
        ...owner,
        access: grants.map(({ type, name, actions }) => ({ type, name, actions })),
      })
        .setProtectedHeader({ alg: signingAlgorithm, typ: "JWT", kid })
        .setIssuer(settings.issuer)
        .setSubject(account?.name ?? "")
        .setAudience(settings.service)
        .setIssuedAt(issuedAtSeconds)
        .setNotBefore(issuedAtSeconds)
        .setExpirationTime(issuedAtSeconds + settings.ttlSeconds)
        .setJti(randomUUID())
        .sign(privateKey);
      return { token, expiresInSeconds: settings.ttlSeconds, issuedAt: new Date(issuedAtSeconds * 1000) };
    },
    async verify(token) {
      if (token.length > longestTokenCharacters) return undefined;
      const about = await trusted(token);
      if (about === undefined) return undefined;
      const goodUntil = (about.exp + clockToleranceSeconds) * 1000;
      if (about.account === undefined) return { ...anonymous, scope: about.access, goodUntil };
      const account = await findAccountById(database, about.account);
      if (account === undefined || account.disabled || account.epoch !== about.epoch) return undefined;
      return { principal: principalOf(account), scope: about.access, goodUntil };
    },
  };
}

/** All that can be told from the token alone. */
const checker =
  ({ keys, settings, now }: Omit<TokensDeps, "database">) =>
  async (token: string): Promise<Trusted | undefined> => {
    const kid = kidOf(token);
    const key = kid === undefined ? undefined : await keys.publicKey(kid);
    if (kid === undefined || key === undefined) return undefined;
    try {
      const { payload } = await jwtVerify(token, key, {
        algorithms: [signingAlgorithm],
        typ: "JWT",
        issuer: settings.issuer,
        audience: settings.service,
        requiredClaims,
        maxTokenAge: settings.ttlSeconds,
        clockTolerance: clockToleranceSeconds,
        currentDate: new Date(now()),
      });
      const parsed = claims.safeParse(payload);
      return parsed.success ? { kid, claims: parsed.data } : undefined;
    } catch (error) {
      if (error instanceof errors.JOSEError) return undefined;
      throw error;
    }
  };

const ourHeader = new Set(["alg", "typ", "kid"]);

/** A header that brings a key along, names one to fetch, or says anything else we never write, is not ours. */
function kidOf(token: string): string | undefined {
  let header: ProtectedHeaderParameters;
  try {
    header = decodeProtectedHeader(token);
  } catch {
    return undefined;
  }
  return Object.keys(header).every((name) => ourHeader.has(name)) ? header.kid : undefined;
}
