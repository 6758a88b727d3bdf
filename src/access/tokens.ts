import { createHash, randomUUID } from "node:crypto";
import { CompactSign, decodeProtectedHeader, errors, jwtVerify, type ProtectedHeaderParameters } from "jose";
import { LRUCache } from "lru-cache";
import { z } from "zod";
import { principalOf } from "./accounts.ts";
import { anonymous, type Caller } from "./principal.ts";
import type { Holders } from "./remembered-holders.ts";
import { principalOfRobot } from "./robots/find-robot.ts";
import type { Grant } from "./scope.ts";
import { signingAlgorithm, type SigningKeys } from "./signing-keys.ts";
import { callerWith, faultOf } from "./tokens/find-token.ts";
import type { TokenUses } from "./tokens/token-uses.ts";

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

/** Whose a token is issued as: an account, or a robot. */
export interface TokenHolder {
  readonly id: string;
  readonly name: string;
  readonly epoch: number;
  readonly robot?: true;
  /** Of the personal token or robot secret that was shown: what is issued for it is void when it is. */
  readonly tokenId?: string;
  /** The rule by which another issuer's token was good: the same. */
  readonly ruleId?: string;
}

/** How long a token lives, where that is not as usual. */
export interface TokenLife {
  readonly mostSeconds?: number;
  /** The end of what was shown for it, in milliseconds since 1970. */
  readonly until?: number | undefined;
}

/** Bearer tokens of the registry protocol: short-lived, signed, and worth no more than their holder is today. */
export interface Tokens {
  /** Without a holder it is a token for anonymous access. */
  issue(holder: TokenHolder | undefined, access: readonly Grant[], life?: TokenLife): Promise<IssuedToken>;
  /** `undefined`: not one of ours, run out, void since, or not good from that address. */
  verify(token: string, remoteAddress?: string): Promise<Caller | undefined>;
}

export interface TokensDeps {
  readonly holders: Holders;
  readonly keys: Pick<SigningKeys, "current" | "publicKey">;
  readonly settings: TokenSettings;
  readonly uses: Pick<TokenUses, "note">;
  readonly now: () => number;
}

/** How far the clocks of two replicas may differ. */
export const clockToleranceSeconds = 60;
/** Of one that another issuer's token was exchanged for, which may be used up by that. */
export const longestExchangedSeconds = 3600;
/** Clients take less for a minute, which is no more than clocks may differ. */
const leastSeconds = 60;
const longestTokenCharacters = 16 * 1024;
const mostRememberedCharacters = 8 * 1024 * 1024;
const requiredClaims = ["sub", "exp", "nbf", "iat", "jti", "access"];

const wireAction = z.enum(["pull", "push", "delete", "*"]);
const access = z.array(
  z.strictObject({ type: z.enum(["repository", "registry"]), name: z.string(), actions: z.array(wireAction) }),
);
/**
 * `account` or `robot`, and `epoch`, are ours: whose it is, not by the name that another may have tomorrow, and since when.
 * `token` is the personal token or robot secret that it was issued for, `rule` the one by which another issuer's was good.
 */
const common = z.object({ aud: z.string(), iat: z.number(), exp: z.number(), access });
const held = common.extend({ sub: z.string().min(1), epoch: z.number(), token: z.string().optional() });
const claims = z.union([
  held.extend({ account: z.string(), robot: z.undefined().optional() }),
  held.extend({ robot: z.string(), account: z.undefined().optional(), rule: z.string().optional() }),
  common.extend({
    sub: z.literal(""),
    account: z.undefined().optional(),
    robot: z.undefined().optional(),
    epoch: z.undefined().optional(),
  }),
]);

interface Trusted {
  readonly kid: string;
  readonly claims: z.infer<typeof claims>;
}

export function createTokens(deps: TokensDeps): Tokens {
  const { keys, settings, now } = deps;
  const callerOf = callerFinder(deps);
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
    async issue(holder, grants, { mostSeconds = settings.ttlSeconds, until = Infinity } = {}) {
      const { kid, privateKey } = await keys.current();
      const issuedAtSeconds = Math.floor(now() / 1000);
      const left = Math.floor(until / 1000) - issuedAtSeconds;
      const seconds = Math.max(leastSeconds, Math.min(left, mostSeconds));
      const payload = {
        ...(holder && ownClaims(holder)),
        access: grants.map(({ type, name, actions }) => ({ type, name, actions })),
        iss: settings.issuer,
        sub: holder?.name ?? "",
        aud: settings.service,
        iat: issuedAtSeconds,
        nbf: issuedAtSeconds,
        exp: issuedAtSeconds + seconds,
        jti: randomUUID(),
      };
      // `SignJWT` would clone the claims first, which takes as long as the rest but for the signature.
      const token = await new CompactSign(Buffer.from(JSON.stringify(payload)))
        .setProtectedHeader({ alg: signingAlgorithm, typ: "JWT", kid })
        .sign(privateKey);
      return { token, expiresInSeconds: seconds, issuedAt: new Date(issuedAtSeconds * 1000) };
    },
    async verify(token, remoteAddress) {
      if (token.length > longestTokenCharacters) return undefined;
      const about = await trusted(token);
      return about && callerOf(about, remoteAddress);
    },
  };
}

const ownClaims = ({ id, epoch, robot, tokenId, ruleId }: TokenHolder) => ({
  ...(robot === true ? { robot: id } : { account: id }),
  epoch,
  ...(tokenId !== undefined && { token: tokenId }),
  ...(ruleId !== undefined && { rule: ruleId }),
});

type About = Trusted["claims"];

/** Who asks, as they are now. */
function callerFinder({ holders, uses, now }: TokensDeps) {
  const byToken = async (
    { epoch, ...about }: About & { readonly token: string },
    remoteAddress: string | undefined,
  ): Promise<Caller | undefined> => {
    const showing = { remoteAddress, now: now() };
    const found = await holders.token(about.token);
    const owner = found?.owner;
    if (found === undefined || owner === undefined || faultOf(found, showing) !== undefined) return undefined;
    const isOwners = owner.id === (owner.kind === "account" ? about.account : about.robot) && owner.epoch === epoch;
    if (!isOwners) return undefined;
    uses.note(found, remoteAddress);
    return callerWith(found, owner, showing);
  };
  const byHolder = async ({ account, robot, epoch, ...about }: About): Promise<Caller | undefined> => {
    if (account !== undefined) {
      const found = await holders.account(account);
      const isSame = found !== undefined && !found.disabled && found.epoch === epoch;
      return isSame ? { principal: principalOf(found) } : undefined;
    }
    if (robot === undefined) return anonymous;
    const ruleId = "rule" in about ? about.rule : undefined;
    const found = await (ruleId === undefined ? holders.robot(robot) : holders.robotOfRule(ruleId));
    if (found?.id !== robot || found.disabled || found.epoch !== epoch) return undefined;
    const { expiresAt = Infinity } = found;
    if (expiresAt <= now()) return undefined;
    return { principal: principalOfRobot(found), goodUntil: expiresAt, ...(ruleId !== undefined && { ruleId }) };
  };
  return async (about: About, remoteAddress: string | undefined): Promise<Caller | undefined> => {
    const token = "token" in about ? about.token : undefined;
    const found = await (token === undefined ? byHolder(about) : byToken({ ...about, token }, remoteAddress));
    if (found === undefined) return undefined;
    const goodUntil = Math.min((about.exp + clockToleranceSeconds) * 1000, found.goodUntil ?? Infinity);
    return { ...found, scope: about.access, goodUntil };
  };
}

/** All that can be told from the token alone. */
const checker =
  ({ keys, settings, now }: Pick<TokensDeps, "keys" | "settings" | "now">) =>
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
        maxTokenAge: longestExchangedSeconds,
        clockTolerance: clockToleranceSeconds,
        currentDate: new Date(now()),
      });
      const parsed = claims.safeParse(payload);
      return parsed.success && isShortEnough(parsed.data, settings) ? { kid, claims: parsed.data } : undefined;
    } catch (error) {
      if (error instanceof errors.JOSEError) return undefined;
      throw error;
    }
  };

const isShortEnough = (about: About, { ttlSeconds }: TokenSettings): boolean => {
  const isExchanged = "rule" in about && about.rule !== undefined;
  return about.exp - about.iat <= (isExchanged ? longestExchangedSeconds : ttlSeconds);
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
