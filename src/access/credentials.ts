import { hash as hashOnce, randomBytes } from "node:crypto";
import { LRUCache } from "lru-cache";
import { fail } from "../oci/problem.ts";
import type { Database } from "../platform/database/database.ts";
import type { Reading } from "../platform/database/prepared.ts";
import { isHashablePassword, isOwnHash, type Passwords, unmatchableHash } from "../platform/passwords/passwords.ts";
import { untilCountedUp } from "./access-revision.ts";
import { canonicalName, parseAccountName } from "./account-name.ts";
import { type Account, findAccountById, findAccountByName, replaceHash } from "./accounts.ts";
import type { GuessesUnderWay } from "./guesses-under-way.ts";
import {
  type Attempt,
  type Counted,
  type CounterNames,
  mostFailuresOfPair,
  type SignInFailures,
} from "./sign-in-failures.ts";
import { findSignIn, type SignIn } from "./sign-in-rows.ts";
import type { Sources } from "./sources/sources.ts";

export interface Credentials {
  readonly name: string;
  readonly password: string;
  readonly remoteAddress: string;
  /** Of the request that brought them, for the audit log. */
  readonly requestId?: string;
}

export type Verified =
  /** The same ones need no other look until then (ms since 1970), while the database is the same. */
  | { readonly kind: "account"; readonly account: Account; readonly goodUntil: number }
  /** Nothing more is known, on purpose: no such account, a wrong password and a disabled account are one answer. */
  | { readonly kind: "refused" }
  /** An empty or oversized password, refused before any account is looked at. */
  | { readonly kind: "malformed" };

/**
 * @throws RegistryError TOO_MANY_REQUESTS after too many failures, or when too many sign in at once; UNAVAILABLE where
 * only a source of identity can tell, and it does not answer
 */
export type VerifyPassword = (credentials: Credentials) => Promise<Verified>;

export interface CredentialsDeps {
  readonly database: Database;
  /** The number that every change of who signs in counts up (`revisionWatch`). */
  readonly signIns: () => Promise<number>;
  readonly passwords: Passwords;
  readonly failures: SignInFailures;
  readonly guesses: GuessesUnderWay;
  /** Asked for whoever has no password in the database. */
  readonly sources: Sources;
  readonly now: () => number;
}

/** A password that was right; it is still right while the account has this epoch. */
interface Proof {
  readonly accountId: string;
  readonly epoch: number;
  /** Milliseconds since 1970. */
  readonly goodUntil: number;
}

const rememberedForMs = 5 * 60_000;
const mostRemembered = 10_000;
const mostPlaces = 1000;
const retryAfterSeconds = 1;

/**
 * Checks passwords. A right one is remembered for a while under a keyed hash, so that a client that sends it with
 * every request does not pay for argon2id each time; a wrong one always pays, and is counted.
 */
export function passwordVerifier(deps: CredentialsDeps): VerifyPassword {
  const processKey = randomBytes(32).toString("base64");
  const prove = prover(deps);
  const find = signInFinder(deps);
  const remembered = new LRUCache<string, Proof>({ max: mostRemembered });

  return async ({ name: givenName, password, remoteAddress }) => {
    if (!isHashablePassword(password)) return { kind: "malformed" };
    const attempt = { name: canonicalName(givenName), remoteAddress };
    const key = hashOnce("sha256", `${processKey} ${JSON.stringify([attempt.name, password])}`, "base64");
    const fresh = (): Proof | undefined => {
      const proof = remembered.get(key);
      return proof !== undefined && deps.now() < proof.goodUntil ? proof : undefined;
    };
    const known = fresh();
    const { account, failures, names } = await find({ key, attempt, known });
    const counted = deps.failures.judge(names, failures);
    // Before anything that a right guess could be told by, what is remembered included.
    refuseBlocked(counted);
    const succeed = async (owner: Account, { goodUntil }: Proof): Promise<Verified> => {
      // Where a code is to follow, what clears them is that.
      if (counted.pairFailures > 0 && !owner.secondFactor) await deps.failures.clear(attempt);
      return { kind: "account", account: owner, goodUntil };
    };
    if (known !== undefined && account !== undefined && proves(known, account)) return succeed(account, known);
    const holder = known === undefined ? account : await named(deps.database, attempt.name);
    // Somebody else may have sent the same meanwhile.
    const other = fresh();
    const proof =
      other !== known && other !== undefined ? other : await prove({ key, attempt, password, account: holder });
    if (proof === undefined) return { kind: "refused" };
    remembered.set(key, proof);
    // As it is now: a hash, and the answer of a source, take their time.
    const proven = await findAccountById(deps.database, proof.accountId);
    return proven !== undefined && proves(proof, proven) ? succeed(proven, proof) : { kind: "refused" };
  };
}

interface Shown {
  /** The same for the same name and password. */
  readonly key: string;
  readonly attempt: Attempt;
  readonly known: Proof | undefined;
}

interface Found extends SignIn {
  readonly names: CounterNames;
}

/**
 * Of a password that is known to be right, what was found counts while nothing about sign-ins changes: 10 µs in place of
 * 60 of each request beside pushes. All others are looked for each time, so that those who guess learn nothing by the
 * time that it takes, and fill no memory.
 */
function signInFinder({ database, signIns, failures }: CredentialsDeps): (shown: Shown) => Promise<Found> {
  const counters = new LRUCache<string, CounterNames>({ max: mostPlaces });
  const remember = untilCountedUp<Found>(signIns, { max: mostPlaces, maxSize: mostPlaces });
  return async ({ key, attempt, known }) => {
    const place = `${key} ${attempt.remoteAddress}`;
    const find = async (): Promise<Found> => {
      // To make them takes 30 µs.
      const names = counters.get(place) ?? failures.namesOf(attempt);
      counters.set(place, names);
      const whose = known ? { id: known.accountId } : { name: parseAccountName(attempt.name) };
      return { names, ...(await findSignIn(database, whose, names)) };
    };
    if (known === undefined) return find();
    return remember(`${known.accountId} ${place}`, async () => ({ value: await find(), size: 1 }));
  };
}

async function named(database: Reading, name: string): Promise<Account | undefined> {
  const parsed = parseAccountName(name);
  return parsed && findAccountByName(database, parsed);
}

interface Guess {
  /** The same for the same name and password. */
  readonly key: string;
  readonly attempt: Attempt;
  readonly password: string;
  readonly account: Account | undefined;
}

type Prove = (guess: Guess) => Promise<Proof | undefined>;

/**
 * Hashes, once for all who send the same credentials meanwhile, and counts a failure before anyone learns of it. Where
 * there are sources, all who fail have asked them, and only those whose account has no password have shown them theirs.
 */
function prover({ database, passwords, failures, guesses, sources, now }: CredentialsDeps): Prove {
  const nobody = unmatchableHash();
  const underWay = new Map<string, Promise<Proof | undefined>>();

  const proofOf = ({ id, epoch }: Account, forMs: number): Proof => ({
    accountId: id,
    epoch,
    goodUntil: now() + forMs,
  });
  const hash = async ({ attempt, password, account }: Guess): Promise<Proof | undefined> => {
    const local = account?.passwordHash === "" ? undefined : account;
    const matches = await passwords.verify(password, local?.passwordHash ?? nobody);
    if (local !== undefined) {
      if (matches && !local.disabled) {
        // One that another program has made is replaced while its password is at hand.
        if (!isOwnHash(local.passwordHash)) await replaceHash(database, local, await passwords.hash(password));
        return proofOf(local, rememberedForMs);
      }
      await failures.record(attempt);
      await sources.signIn(attempt.name, undefined);
      return undefined;
    }
    const found = await sources.signIn(attempt.name, password);
    if (found !== undefined && !found.account.disabled) return proofOf(found.account, found.rememberMs);
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
