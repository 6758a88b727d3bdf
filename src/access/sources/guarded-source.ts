import { fail } from "../../oci/problem.ts";
import type { Database } from "../../platform/database/database.ts";
import type { Log } from "../../platform/telemetry/log.ts";
import type { Account } from "../accounts.ts";
import { type CircuitBreaker, circuitBreaker } from "./circuit-breaker.ts";
import { accountOfIdentity } from "./identities.ts";
import { type BrowserAnswer, type Identity, type Source, type SourceAnswer, SourceUnavailable } from "./source.ts";

export type SourceOutcome = SourceAnswer["kind"] | BrowserAnswer["kind"] | "unavailable";

export interface SourcesDeps {
  readonly database: Database;
  readonly log: Log;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  readonly count: (source: string, outcome: SourceOutcome) => void;
}

/** A source that is kept away from while it does not answer. */
export interface Guarded<S extends Source> {
  readonly source: S;
  readonly breaker: CircuitBreaker;
}

export const guard = <S extends Source>(source: S, { log, now }: SourcesDeps): Guarded<S> => ({
  source,
  breaker: circuitBreaker({
    now,
    onOpen: (error) => log.warn("source does not answer", { source: source.name, reason: error.message }),
    onClose: () => log.info("source answers again", { source: source.name }),
  }),
});

const retryAfterSeconds = 5;

/** @throws RegistryError UNAVAILABLE where the source does not answer */
export async function askGuarded<T>(
  { source, breaker }: Guarded<Source>,
  { count }: SourcesDeps,
  work: () => Promise<T>,
): Promise<T> {
  try {
    return await breaker.run(work);
  } catch (error) {
    if (!(error instanceof SourceUnavailable)) throw error;
    count(source.name, "unavailable");
    // Which one it is, and why, is for the log.
    return fail({ code: "UNAVAILABLE", reason: "sign-in is not available now", retryAfterSeconds });
  }
}

/** The account of whom a source has just confirmed. `undefined`: they are new, and it does not let in who is. */
export async function admit(
  { name: source, onboards }: Source,
  { database, log, now }: SourcesDeps,
  identity: Identity,
): Promise<Account | undefined> {
  const linked = await accountOfIdentity(database, { source, onboards, identity, now: now() });
  if (linked?.isNew === true) log.info("account created", { account: linked.account.name, source });
  return linked?.account;
}
