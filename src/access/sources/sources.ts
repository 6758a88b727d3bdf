import { loggable } from "../../platform/telemetry/loggable.ts";
import type { Account } from "../accounts.ts";
import { admit, askGuarded, type Guarded, guard, type SourcesDeps } from "./guarded-source.ts";
import { sourceOfAccount } from "./identities.ts";
import { type Confirm, hasIdentities, markStale, resyncSource, suspendOthers } from "./resync.ts";
import { type PasswordSource, type Source, SourceUnavailable } from "./source.ts";

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

const longestNameCharacters = 64;

export function openSources(sources: readonly Source[], deps: SourcesDeps): Sources {
  const names = sources.map(({ name }) => name);
  const guarded = sources.flatMap((source) => (source.kind === "password" ? [guard(source, deps)] : []));
  const admitted = async (source: PasswordSource, identity: Parameters<typeof admit>[2]) => {
    const account = await admit(source, deps, identity);
    return account && { account, rememberMs: source.rememberMs };
  };
  return {
    async signIn(name, password) {
      if (name === "") return undefined;
      const first = await sourceOfAccount(deps.database, name);
      for (const one of guarded.toSorted((a, b) => Number(b.source.name === first) - Number(a.source.name === first))) {
        const answer = await askGuarded(one, deps, () => one.source.authenticate(name, password));
        deps.count(one.source.name, answer.kind);
        if (answer.kind === "unknown") continue;
        if (answer.kind === "identity") return admitted(one.source, answer.identity);
        if (answer.kind === "unclear") {
          const fields = { source: one.source.name, name: loggable(name, longestNameCharacters), reason: answer.why };
          deps.log.warn("sign-in is not clear", fields);
        }
        return undefined;
      }
      return undefined;
    },
    hasAccounts: () => hasIdentities(deps.database, names),
    resync: (signal) => resyncAll({ sources, guarded }, deps, signal),
  };
}

interface Looked {
  readonly sources: readonly Source[];
  readonly guarded: readonly Guarded<PasswordSource>[];
}

async function resyncAll({ sources, guarded }: Looked, deps: SourcesDeps, signal: AbortSignal): Promise<string> {
  const { database, log, now } = deps;
  const words: string[] = [];
  const others = await suspendOthers(
    database,
    sources.map(({ name }) => name),
    now(),
  );
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
      await markOld(source, deps);
      words.push(`${name} does not answer`);
    }
  }
  for (const source of sources) {
    if (source.kind !== "browser") continue;
    // It cannot be asked about anyone who is not there.
    words.push(`${source.name}: ${await markOld(source, deps)} not there for too long`);
  }
  return words.join("; ");
}

/** Whom a source has not confirmed for too long may only read. @returns how many more that are */
async function markOld({ name, staleMs }: Source, { database, log, now }: SourcesDeps): Promise<number> {
  const stale = await markStale(database, name, { before: now() - staleMs, now: now() });
  if (stale > 0) log.warn("accounts may only read", { accounts: stale, source: name });
  return stale;
}
