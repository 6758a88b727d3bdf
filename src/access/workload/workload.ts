import { decodeJwt } from "jose";
import type { Database } from "../../platform/database/database.ts";
import { canonicalName } from "../account-name.ts";
import {
  longestTokenCharacters,
  type TokenClaims,
  type TokenFault,
  type VerifiedToken,
} from "../openid/verify-token.ts";
import type { Robot } from "../robots/find-robot.ts";
import { clockToleranceSeconds } from "../tokens.ts";
import { exchangeOnce, keyOfToken, wasExchanged } from "./exchanges.ts";
import type { openIssuers } from "./issuers.ts";
import { type Check, audiencesOf, faultTexts, isShortLived, isTrusted, judge, maxAgeSeconds } from "./judge.ts";
import { type RuleOfRobot, rulesOfRobot } from "./rules.ts";

/** Somebody's token, which another issuer has signed, shown for a robot. */
export interface ShownWorkload {
  /** The robot's. */
  readonly name: string;
  readonly token: string;
  /** It is exchanged: never again. */
  readonly once?: true;
}

export type WorkloadRefusal =
  | TokenFault
  /** No rule of a robot of that name is about the issuer. */
  | "rule"
  | "lifetime"
  | "conditions"
  | "replayed"
  | "too-many"
  | "unavailable";

export type WorkloadAnswer =
  | {
      readonly kind: "robot";
      readonly rule: RuleOfRobot;
      /** When it ends, as it says, in milliseconds since 1970. */
      readonly expiresAt: number;
      /** Until when it is taken: it may grow too old before. */
      readonly goodUntil: number;
    }
  | { readonly kind: "refused"; readonly reason: WorkloadRefusal };

/** What of one rule holds for a token. */
export interface TriedRule {
  readonly id: string;
  readonly trusted: boolean;
  readonly checks: readonly Check[];
}

/** Tokens of CI systems, clusters and others that know who runs what, in the place of a robot's secret. */
export interface Workload {
  identify(shown: ShownWorkload): Promise<WorkloadAnswer>;
  /** What a robot's rules say to a token, which is not used up by that. */
  tryOut(shown: Omit<ShownWorkload, "once">): Promise<readonly TriedRule[]>;
}

export interface WorkloadDeps {
  readonly database: Database;
  readonly issuers: ReturnType<typeof openIssuers>;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

const refused = (reason: WorkloadRefusal): WorkloadAnswer => ({ kind: "refused", reason });

export function openWorkload({ database, issuers, now }: WorkloadDeps): Workload {
  const isActive = ({ disabled, expiresAt = Infinity }: Robot): boolean => !disabled && expiresAt > now();
  const verify = (token: string, claimed: Claimed) =>
    issuers(claimed.iss).verify(token, {
      audiences: audiencesOf(claimed.claims),
      maxAgeSeconds,
      accessTokens: true,
    });
  return {
    async identify({ name, token, once }) {
      const claimed = claimedBy(token);
      if (claimed === undefined) return refused("malformed");
      const all = await rulesOfRobot(database, canonicalName(name));
      const rules = all.filter(({ robot, rule }) => rule.issuer === claimed.iss && isActive(robot));
      if (rules.length === 0) return refused("rule");
      const verified = await verify(token, claimed);
      if (verified.kind !== "verified") return refused(verified.kind === "refused" ? verified.fault : "unavailable");
      const { claims } = verified;
      if (!isShortLived(claims)) return refused("lifetime");
      const rule = rules.find((one) => isTrusted(one.rule, claims));
      if (rule === undefined) return refused("conditions");
      const key = keyOfToken(token, claims);
      const goodUntil = endOf(claims);
      const robot: WorkloadAnswer = { kind: "robot", rule, expiresAt: claims.exp * 1000, goodUntil };
      // docker shows what it has with every request, so as a password it is good until its end; exchanged, it is used up.
      if (once !== true) return (await wasExchanged(database, key)) ? refused("replayed") : robot;
      // The clock of another server may be behind.
      const expiresAt = goodUntil + clockToleranceSeconds * 1000;
      const exchanged = await exchangeOnce(database, { key, robotId: rule.robot.id, expiresAt, now: now() });
      return exchanged === "done" ? robot : refused(exchanged);
    },
    async tryOut({ name, token }) {
      const rules = await rulesOfRobot(database, canonicalName(name));
      const claimed = claimedBy(token);
      if (claimed === undefined)
        return rules.map(({ rule }) => tried(rule.id, [{ what: faultTexts.malformed, ok: false }]));
      const isAsked = rules.some(({ rule }) => rule.issuer === claimed.iss);
      const common = isAsked ? checksOf(await verify(token, claimed)) : [];
      return rules.map(({ robot, rule }) => {
        const who = { what: `${robot.name} may sign in`, ok: isActive(robot) };
        const issuer = { what: `iss=${rule.issuer}`, ok: rule.issuer === claimed.iss, given: [claimed.iss] };
        return tried(rule.id, issuer.ok ? [who, issuer, ...common, ...judge(rule, claimed.claims)] : [who, issuer]);
      });
    },
  };
}

const tried = (id: string, checks: readonly Check[]): TriedRule => ({
  id,
  trusted: checks.every(({ ok }) => ok),
  checks,
});

/** What is asked of a token whatever the rule. */
function checksOf(verified: VerifiedToken): readonly Check[] {
  if (verified.kind === "unavailable") return [{ what: `the issuer answers: ${verified.why}`, ok: false }];
  if (verified.kind === "refused") return [{ what: faultTexts[verified.fault], ok: false }];
  return [
    { what: "it is signed by the issuer, and good now", ok: true },
    { what: "it lives for a day at most", ok: isShortLived(verified.claims) },
  ];
}

interface Claimed {
  readonly iss: string;
  readonly claims: Readonly<Record<string, unknown>>;
}

/** What a token says, before anyone has looked at its signature. */
function claimedBy(token: string): Claimed | undefined {
  if (token.length > longestTokenCharacters) return undefined;
  try {
    const claims: Readonly<Record<string, unknown>> = decodeJwt(token);
    const iss = claims["iss"];
    return typeof iss === "string" ? { iss, claims } : undefined;
  } catch {
    return undefined;
  }
}

/** Whole seconds are compared, so it may be taken for one more. */
const endOf = ({ iat, exp }: TokenClaims): number =>
  (Math.min(exp, iat + maxAgeSeconds) + clockToleranceSeconds + 1) * 1000;
