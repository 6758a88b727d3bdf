import { fail } from "../../oci/problem.ts";
import type { Database } from "../../platform/database/database.ts";
import type { Log } from "../../platform/telemetry/log.ts";
import { loggable } from "../../platform/telemetry/loggable.ts";
import type { Account } from "../accounts.ts";
import { type CircuitBreaker, circuitBreaker } from "./circuit-breaker.ts";
import { accountOfIdentity, sourceOfAccount } from "./identities.ts";
import { type Confirm, hasIdentities, markStale, resyncSource, suspendOthers } from "./resync.ts";
import { type Identity, type Source, type SourceAnswer, SourceUnavailable } from "./source.ts";

/** An account whose password a source has just confirmed, and for how long its word counts. */
export interface SignedIn {
  readonly account: Account;
  readonly rememberMs: number;
}

/** The sources of identity beside the accounts of the database, in the order in which they are asked. */
export interface Sources {
  /**
   * The first source that knows the name decides; where an account has the name already, the one that it comes from.
   * `undefined`: nobody is let in. @param password without one, it takes as long and shows no source any password
   * @throws RegistryError UNAVAILABLE where a source that may know the name does not answer
   */
  signIn(name: string, password: string | undefined): Promise<SignedIn | undefined>;
  /** Whether there is any account that `resync` would look at. */
  hasAccounts(): Promise<boolean>;
  /** Looks at all accounts of all sources. @returns a few words on how it went */
  resync(signal: AbortSignal): Promise<string>;
}

export type SourceOutcome = SourceAnswer["kind"] | "unavailable";

export interface SourcesDeps {
  readonly database: Database;
  readonly log: Log;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  readonly count: (source: string, outcome: SourceOutcome) => void;
}

interface Guarded {
  readonly source: Source;
  readonly breaker: CircuitBreaker;
}

const retryAfterSeconds = 5;
const longestNameCharacters = 64;

export function openSources(sources: readonly Source[], deps: SourcesDeps): Sources {
  const names = sources.map(({ name }) => name);
  const guarded = sources.map((source) => ({ source, breaker: breakerOf(source, deps) }));
  const ask = async ({ source, breaker }: Guarded, name: string, password: string | undefined) => {
    try {
      const answer = await breaker.run(() => source.authenticate(name, password));
      deps.count(source.name, answer.kind);
      return answer;
    } catch (error) {
      if (!(error instanceof SourceUnavailable)) throw error;
      deps.count(source.name, "unavailable");
      // Which one it is, and why, is for the log.
      return fail({ code: "UNAVAILABLE", reason: "sign-in is not available now", retryAfterSeconds });
    }
  };
  const admit = async (source: Source, identity: Identity): Promise<SignedIn | undefined> => {
    const linking = { source: source.name, onboards: source.onboards, identity, now: deps.now() };
    const linked = await accountOfIdentity(deps.database, linking);
    if (linked === undefined) return undefined;
    const { account, isNew } = linked;
    if (isNew) deps.log.info("account created", { account: account.name, source: source.name });
    return { account, rememberMs: source.rememberMs };
  };
  return {
    async signIn(name, password) {
      if (name === "") return undefined;
      const first = await sourceOfAccount(deps.database, name);
      for (const one of guarded.toSorted((a, b) => Number(b.source.name === first) - Number(a.source.name === first))) {
        const answer = await ask(one, name, password);
        if (answer.kind === "unknown") continue;
        if (answer.kind === "identity") return admit(one.source, answer.identity);
        if (answer.kind === "unclear") {
          const fields = { source: one.source.name, name: loggable(name, longestNameCharacters), reason: answer.why };
          deps.log.warn("sign-in is not clear", fields);
        }
        return undefined;
      }
      return undefined;
    },
    hasAccounts: () => hasIdentities(deps.database, names),
    resync: (signal) => resyncAll(guarded, deps, signal),
  };
}

async function resyncAll(guarded: readonly Guarded[], deps: SourcesDeps, signal: AbortSignal): Promise<string> {
  const { database, log, now } = deps;
  const names = guarded.map(({ source }) => source.name);
  const words: string[] = [];
  const others = await suspendOthers(database, names, now());
  if (others > 0) log.warn("accounts suspended", { accounts: others, reason: "their source is not enabled" });
  for (const { source, breaker } of guarded) {
    const { name } = source;
    const ask: Confirm = (subjects) => breaker.run(() => source.confirm(subjects));
    try {
      const { confirmed, suspended } = await resyncSource(database, name, { ask, now, signal });
      if (suspended > 0) log.info("accounts suspended", { accounts: suspended, source: name });
      words.push(`${name}: ${confirmed} confirmed, ${suspended} suspended`);
    } catch (error) {
      if (!(error instanceof SourceUnavailable)) throw error;
      deps.count(name, "unavailable");
      const stale = await markStale(database, name, { before: now() - source.staleMs, now: now() });
      if (stale > 0) log.warn("accounts may only read", { accounts: stale, source: name });
      words.push(`${name} does not answer`);
    }
  }
  return words.join("; ");
}

const breakerOf = ({ name }: Source, { log, now }: SourcesDeps): CircuitBreaker =>
  circuitBreaker({
    now,
    onOpen: (error) => log.warn("source does not answer", { source: name, reason: error.message }),
    onClose: () => log.info("source answers again", { source: name }),
  });
