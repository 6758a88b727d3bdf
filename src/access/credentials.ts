import { hash, randomBytes } from "node:crypto";
import { sql } from "kysely";
import { LRUCache } from "lru-cache";
import { fail } from "../oci/problem.ts";
import { type Given, prepared, type Reading } from "../platform/database/prepared.ts";
import { isHashablePassword, type Passwords, unmatchableHash } from "../platform/passwords/passwords.ts";
import { canonicalName, parseAccountName } from "./account-name.ts";
import { type Account, accountOf } from "./accounts.ts";
import type { GuessesUnderWay } from "./guesses-under-way.ts";
import {
  type Attempt,
  type Counted,
  type CounterNames,
  mostFailuresOfPair,
  type SignInFailures,
} from "./sign-in-failures.ts";
import type { AccountRow, FailuresRow } from "./tables.ts";

export interface Credentials {
  readonly name: string;
  readonly password: string;
  readonly remoteAddress: string;
}

export type Verified =
  /** The same ones need no other look until then (ms since 1970), while the database is the same. */
  | { readonly kind: "account"; readonly account: Account; readonly goodUntil: number }
  /** Nothing more is known, on purpose: no such account, a wrong password and a disabled account are one answer. */
  | { readonly kind: "refused" }
  /** An empty or oversized password, refused before any account is looked at. */
  | { readonly kind: "malformed" };

/** @throws RegistryError TOO_MANY_REQUESTS after too many failures, or when too many sign in at once */
export type VerifyPassword = (credentials: Credentials) => Promise<Verified>;

export interface CredentialsDeps {
  readonly database: Reading;
  readonly passwords: Passwords;
  readonly failures: SignInFailures;
  readonly guesses: GuessesUnderWay;
  readonly now: () => number;
}

/** A password that was right; it is still right while the account has this epoch. */
interface Proof {
  readonly accountId: string;
  readonly epoch: number;
  readonly provenAt: number;
}

const rememberedForMs = 5 * 60_000;
const mostRemembered = 10_000;
const mostCounterNames = 1000;
const retryAfterSeconds = 1;

/**
 * Checks passwords. A right one is remembered for a while under a keyed hash, so that a client that sends it with
 * every request does not pay for argon2id each time; a wrong one always pays, and is counted.
 */
export function passwordVerifier(deps: CredentialsDeps): VerifyPassword {
  const processKey = randomBytes(32).toString("base64");
  const prove = prover(deps);
  const remembered = new LRUCache<string, Proof>({ max: mostRemembered });
  const counters = new LRUCache<string, CounterNames>({ max: mostCounterNames });

  return async ({ name: givenName, password, remoteAddress }) => {
    if (!isHashablePassword(password)) return { kind: "malformed" };
    const attempt = { name: canonicalName(givenName), remoteAddress };
    const key = hash("sha256", `${processKey} ${JSON.stringify([attempt.name, password])}`, "base64");
    // To make them takes 30 µs, of every request that brings a password.
    const place = `${key} ${remoteAddress}`;
    const names = counters.get(place) ?? deps.failures.namesOf(attempt);
    counters.set(place, names);
    const found = await signInRows(deps.database, {
      name: parseAccountName(givenName) ?? "",
      ...names,
      now: deps.now(),
    });
    const counted = deps.failures.judge(names, found.filter(isCounter));
    // Before anything that a right guess could be told by, what is remembered included.
    refuseBlocked(counted);
    const account = accountIn(found);
    const known = remembered.get(key);
    const isFresh = known !== undefined && deps.now() - known.provenAt < rememberedForMs;
    const isCurrent = isFresh && account !== undefined && proves(known, account);
    const proof = isCurrent ? known : await prove({ key, attempt, password, account });
    if (proof === undefined || account === undefined || !proves(proof, account)) return { kind: "refused" };
    remembered.set(key, proof);
    if (counted.pairFailures > 0) await deps.failures.clear(attempt);
    return { kind: "account", account, goodUntil: proof.provenAt + rememberedForMs };
  };
}

type NoRow<Row> = { readonly [Column in keyof Row]: null };
type FoundRow = (AccountRow | NoRow<AccountRow>) & (FailuresRow | NoRow<FailuresRow>);

/** The account and its attempt's counters as one query: every request that brings a password asks for both. */
const signInRows = prepared((read, given: CounterNames & Given & { readonly name: string; readonly now: number }) =>
  read
    .selectFrom(sql<{ one: number }>`(select 1 as one)`.as("always"))
    .leftJoin("accounts", (join) => join.on((on) => on("accounts.name", "=", given.name)))
    .leftJoin("login_failures", (join) =>
      join
        .on((on) => on("login_failures.key", "in", [given.pair, given.network]))
        .on((on) => on("login_failures.expires_at", ">", given.now)),
    )
    .selectAll(["accounts", "login_failures"])
    .$castTo<FoundRow>(),
);

const isCounter = (row: FoundRow): row is FoundRow & FailuresRow => row.key !== null;

function accountIn([row]: readonly FoundRow[]): Account | undefined {
  return row === undefined || row.id === null ? undefined : accountOf(row);
}

interface Guess {
  /** The same for the same name and password. */
  readonly key: string;
  readonly attempt: Attempt;
  readonly password: string;
  readonly account: Account | undefined;
}

type Prove = (guess: Guess) => Promise<Proof | undefined>;

/** Hashes, once for all who send the same credentials meanwhile, and counts a failure before anyone learns of it. */
function prover({ passwords, failures, guesses, now }: CredentialsDeps): Prove {
  const nobody = unmatchableHash();
  const underWay = new Map<string, Promise<Proof | undefined>>();

  const hash = async ({ attempt, password, account }: Guess): Promise<Proof | undefined> => {
    const matches = await passwords.verify(password, account?.passwordHash ?? nobody);
    if (matches && account !== undefined && !account.disabled) {
      return { accountId: account.id, epoch: account.epoch, provenAt: now() };
    }
    await failures.record(attempt);
    return undefined;
  };
  /** Guesses under way count as failures, and are looked up before those: one that ends has been counted as such. */
  const withinLimit = async (guess: Guess): Promise<Proof | undefined> => {
    const { pair } = failures.namesOf(guess.attempt);
    const others = await guesses.enter(pair);
    try {
      const counted = await failures.count(guess.attempt);
      refuseBlocked(counted);
      if (counted.pairFailures + others >= mostFailuresOfPair) {
        fail({ code: "TOO_MANY_REQUESTS", reason: "too many sign-ins at once", retryAfterSeconds });
      }
      return await hash(guess);
    } finally {
      await guesses.leave(pair);
    }
  };
  return async (guess) => {
    const same = underWay.get(guess.key);
    if (same !== undefined) return same;
    const proof = withinLimit(guess).finally(() => underWay.delete(guess.key));
    underWay.set(guess.key, proof);
    return proof;
  };
}

function refuseBlocked({ blockedForSeconds }: Counted): void {
  if (blockedForSeconds === 0) return;
  fail({ code: "TOO_MANY_REQUESTS", reason: "too many failed sign-ins", retryAfterSeconds: blockedForSeconds });
}

const proves = (proof: Proof, account: Account): boolean =>
  !account.disabled && proof.accountId === account.id && proof.epoch === account.epoch;
