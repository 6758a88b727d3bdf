import type { KeyObject } from "node:crypto";
import type { Database } from "../platform/database/database.ts";
import type { Passwords } from "../platform/passwords/passwords.ts";
import { revisionWatch } from "./access-revision.ts";
import { type Authorization, authorizer, type Policy } from "./authorize.ts";
import { passwordVerifier, type VerifyPassword } from "./credentials.ts";
import type { GuessesUnderWay } from "./guesses-under-way.ts";
import { identifier, type Identify, type TokenRefusalReason } from "./identify.ts";
import { deriveKey } from "./instance-secret.ts";
import { rememberedHolders } from "./remembered-holders.ts";
import { createRefreshTokens, type RefreshTokens } from "./refresh-tokens.ts";
import { createSignInFailures, type SignInFailures } from "./sign-in-failures.ts";
import { createSecondFactors, type SecondFactors } from "./second-factor/second-factors.ts";
import { createSessions, type Sessions, type SessionSettings } from "./sessions/sessions.ts";
import { openSigningKeys, type SigningKeys } from "./signing-keys.ts";
import type { Sources } from "./sources/sources.ts";
import { visibilities, type Visibilities } from "./visible-to.ts";
import { type CallerNamed, vouchedCallers } from "./vouched-callers.ts";
import { type TokenUses, tokenUses } from "./tokens/token-uses.ts";
import type { Workload } from "./workload/workload.ts";
import {
  clockToleranceSeconds,
  createTokens,
  longestExchangedSeconds,
  type Tokens,
  type TokenSettings,
} from "./tokens.ts";

export interface AccessDeps {
  readonly database: Database;
  readonly passwords: Passwords;
  readonly secret: KeyObject;
  readonly policy: Policy;
  readonly tokenSettings: TokenSettings;
  readonly sessionSettings: SessionSettings;
  readonly guesses: GuessesUnderWay;
  /** Where people are known beside the database. */
  readonly sources: Sources;
  /** Told of each personal token and robot secret that was not good. */
  readonly tokenRefused: (reason: TokenRefusalReason) => void;
  /** Whose tokens of other issuers are. */
  readonly workload: Workload;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

/** Who is it, and may they: what the entrances are given. */
export interface Access extends Authorization, Visibilities {
  /** The name tokens are issued for. */
  readonly service: string;
  readonly policy: Policy;
  /** Refuses those for whom a password is not enough. */
  readonly verifyPassword: VerifyPassword;
  /** The password alone: what else the account asks for is the caller's to see to. */
  readonly checkPassword: VerifyPassword;
  readonly secondFactors: SecondFactors;
  /** Takes personal tokens and the secrets of robots too. */
  readonly identify: Identify;
  /** The same with another way to look at passwords. */
  readonly identifyBy: (verifyPassword: VerifyPassword) => Identify;
  /** Who shows nothing, and is vouched for. */
  readonly callerNamed: CallerNamed;
  readonly tokens: Tokens;
  readonly tokenUses: TokenUses;
  readonly refreshTokens: RefreshTokens;
  readonly sessions: Sessions;
  /** Wrong passwords, and all else that is guessed. */
  readonly failures: SignInFailures;
  readonly signingKeys: SigningKeys;
  readonly workload: Workload;
}

/** @throws ConfigError when the database's keys were encrypted with another secret */
export async function openAccess(deps: AccessDeps): Promise<Access> {
  const { database, passwords, secret, policy, tokenSettings: settings, sessionSettings } = deps;
  const { guesses, sources, tokenRefused, workload, now } = deps;
  const signingKeys = await openSigningKeys({
    database,
    key: deriveKey(secret, "signing keys"),
    now,
    tokenLifetimeMs: (longestExchangedSeconds + clockToleranceSeconds) * 1000,
  });
  const uses = tokenUses({ database, now });
  const failures = createSignInFailures({ database, key: deriveKey(secret, "sign-in failures"), now });
  const revisions = revisionWatch(database);
  const { signIns } = revisions;
  const holders = rememberedHolders(database, signIns);
  const checkPassword = passwordVerifier({ database, signIns, passwords, failures, guesses, sources, now });
  const verifyPassword = alone(checkPassword);
  const identifyBy: Access["identifyBy"] = (verify) =>
    identifier({ holders, verifyPassword: verify, failures, uses, tokenRefused, workload, now });
  const deciding = { database, revision: revisions.rights, policy, now };
  const authorization = authorizer(deciding);
  return {
    ...authorization,
    ...visibilities(deciding),
    service: settings.service,
    policy,
    checkPassword,
    verifyPassword,
    identify: identifyBy(verifyPassword),
    identifyBy,
    callerNamed: vouchedCallers({ database, authorize: authorization.authorize, now }),
    secondFactors: createSecondFactors({ database, key: deriveKey(secret, "second factors"), failures, guesses, now }),
    tokens: createTokens({ holders, keys: signingKeys, settings, uses, now }),
    tokenUses: uses,
    refreshTokens: createRefreshTokens({ database, service: settings.service, now }),
    sessions: createSessions({ database, settings: sessionSettings, now }),
    failures,
    signingKeys,
    workload,
  };
}

/** Where there is no place for a code, whoever has a second factor signs in with something else than the password. */
const alone =
  (checkPassword: VerifyPassword): VerifyPassword =>
  async (credentials) => {
    const verified = await checkPassword(credentials);
    return verified.kind === "account" && verified.account.secondFactor ? { kind: "refused" } : verified;
  };
