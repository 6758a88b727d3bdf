import { fail } from "../oci/problem.ts";
import { canonicalName } from "./account-name.ts";
import { principalOf } from "./accounts.ts";
import type { Credentials, VerifyPassword } from "./credentials.ts";
import { matchesHash, parseOpaqueToken } from "./opaque-token.ts";
import type { Caller } from "./principal.ts";
import type { Holders } from "./remembered-holders.ts";
import { principalOfRobot, robotPrefix } from "./robots/find-robot.ts";
import type { Attempt, SignInFailures } from "./sign-in-failures.ts";
import { callerWith, faultOf, lookAgainAfterMs, type TokenFault } from "./tokens/find-token.ts";
import { tokenPrefixOf } from "./tokens/token-prefixes.ts";
import type { TokenUses } from "./tokens/token-uses.ts";
import type { Workload, WorkloadRefusal } from "./workload/workload.ts";

/** Who has shown a name with a password, a personal token or a robot's secret. */
export type Identified =
  | {
      readonly kind: "caller";
      readonly caller: Caller;
      /** Of the account or robot: see `Account`. */
      readonly epoch: number;
      /** What is issued for it ends then, in milliseconds since 1970. */
      readonly expiresAt?: number;
    }
  | {
      readonly kind: "refused";
      /** Why a token is nobody's: for the audit log, never for whoever showed it. */
      readonly why?: WorkloadRefusal | TokenRefusalReason;
    }
  | { readonly kind: "malformed" };

/** @throws RegistryError as `VerifyPassword` does */
export type Identify = (credentials: Shown) => Promise<Identified>;

/** A token says by itself whose it is, where no name comes with it. */
export type Shown = Omit<Credentials, "name"> & {
  readonly name: string | undefined;
  /** A token of another issuer that is exchanged, and so never good again. */
  readonly once?: true;
};

/** Why a token was refused: for the metrics, never for whoever showed it. */
export type TokenRefusalReason = TokenFault | "malformed" | "owner-name";

export interface IdentifyDeps {
  readonly holders: Pick<Holders, "token">;
  readonly verifyPassword: VerifyPassword;
  readonly failures: SignInFailures;
  readonly uses: TokenUses;
  readonly tokenRefused: (reason: TokenRefusalReason) => void;
  readonly workload: Pick<Workload, "identify">;
  readonly now: () => number;
}

const noHash = "0".repeat(64);

/**
 * A password is for `verifyPassword`; what begins as a token is never taken for one. One that was mistyped costs no query,
 * and all others that are not good count as wrong passwords do. A right one needs no look at those counts: nobody guesses
 * 190 bits, and whoever shares an address with a program that has an old token goes on working.
 */
export function identifier(deps: IdentifyDeps): Identify {
  const { holders, uses, now } = deps;
  const refused = refuser(deps);
  return async (credentials) => {
    const { name, password, remoteAddress } = credentials;
    const prefix = tokenPrefixOf(password);
    if (name !== undefined && (credentials.once === true || isWorkload(name, password))) {
      return byWorkload(deps, { ...credentials, name });
    }
    if (prefix === undefined)
      return name === undefined ? { kind: "refused" } : byPassword(deps, { ...credentials, name });
    const token = parseOpaqueToken(prefix, password);
    if (token === undefined) {
      deps.tokenRefused("malformed");
      return { kind: "refused", why: "malformed" };
    }
    const found = await holders.token(token.id);
    // Something is compared in any case.
    const isIt = matchesHash(token, found?.secretHash ?? noHash);
    if (found === undefined || !isIt) return refused("unknown", credentials);
    const showing = { remoteAddress, now: now() };
    const fault = faultOf(found, showing);
    if (fault !== undefined || found.owner === undefined) return refused(fault ?? "owner", credentials);
    if (name !== undefined && canonicalName(name) !== found.owner.name) return refused("owner-name", credentials);
    uses.note(found, remoteAddress);
    return { kind: "caller", caller: callerWith(found, found.owner, showing), epoch: found.owner.epoch };
  };
}

async function byPassword({ verifyPassword }: IdentifyDeps, credentials: Credentials): Promise<Identified> {
  const verified = await verifyPassword(credentials);
  if (verified.kind !== "account") return verified;
  const { account, goodUntil } = verified;
  const caller = { principal: principalOf(account), goodUntil, remoteAddress: credentials.remoteAddress };
  return { kind: "caller", caller, epoch: account.epoch };
}

/** Whether what is shown for a robot is a token that another issuer has signed, and no secret. */
export const isWorkload = (name: string | undefined, password: string): boolean =>
  name !== undefined && jwt.test(password) && canonicalName(name).startsWith(robotPrefix);

const jwt = /^eyJ[\w-]+\.[\w-]+\.[\w-]*$/;

async function byWorkload(
  deps: IdentifyDeps,
  { name, password: token, remoteAddress, once }: Shown & Credentials,
): Promise<Identified> {
  const answer = await deps.workload.identify({ name, token, ...(once && { once }) });
  if (answer.kind === "refused") {
    // That nobody can tell is no guess.
    if (answer.reason !== "unavailable") await countFailure(deps, { name, remoteAddress });
    return { kind: "refused", why: answer.reason };
  }
  const {
    rule: { robot, rule },
    expiresAt,
    goodUntil,
  } = answer;
  const principal = principalOfRobot(robot);
  const until = Math.min(goodUntil, robot.expiresAt ?? Infinity, deps.now() + lookAgainAfterMs);
  return {
    kind: "caller",
    caller: { principal, ruleId: rule.id, remoteAddress, goodUntil: until },
    epoch: robot.epoch,
    expiresAt,
  };
}

const refuser =
  (deps: IdentifyDeps) =>
  async (reason: TokenRefusalReason, { name = "", remoteAddress }: Shown): Promise<Identified> => {
    deps.tokenRefused(reason);
    await countFailure(deps, { name, remoteAddress });
    return { kind: "refused", why: reason };
  };

/** @throws RegistryError TOO_MANY_REQUESTS */
async function countFailure({ failures }: IdentifyDeps, { name, remoteAddress }: Attempt): Promise<void> {
  const attempt = { name: canonicalName(name), remoteAddress };
  const { blockedForSeconds } = await failures.count(attempt);
  if (blockedForSeconds > 0) {
    fail({ code: "TOO_MANY_REQUESTS", reason: "too many failed sign-ins", retryAfterSeconds: blockedForSeconds });
  }
  await failures.record(attempt);
}
