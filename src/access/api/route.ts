import type { Envelope } from "../../platform/events/access-event.ts";
import type { RecordingWriter } from "../../platform/events/record-events.ts";
import type { Authorize } from "../authorize.ts";
import type { Changer } from "../change-access.ts";
import type { Caller } from "../principal.ts";
import type { Body, Contract, Params, Query, Value } from "./contract.ts";

/** A request that was let through, with all that it says read and checked. */
export interface Call<C extends Contract> {
  readonly params: Params<C>;
  readonly query: Query<C>;
  readonly body: Body<C>;
  readonly caller: Caller;
  /** The caller, or whoever has the data folder in hand. */
  readonly by: Changer;
  /** Whose doing it is, for a change that is more than one transaction. */
  readonly envelope: Envelope;
  readonly remoteAddress: string;
  readonly dryRun: boolean;
  /** The revision that a change means; `undefined`: whichever it is. */
  readonly expected: number | undefined;
  /**
   * The one transaction of a change, whose events tell who has made it. With it goes what the answer to the same request
   * once more is made of; a dry run leaves nothing of it.
   */
  readonly commit: (work: (tx: RecordingWriter) => Promise<Value<C>>) => Promise<Value<C>>;
  readonly session: KeptSession;
  /**
   * Asks for the route's need once more, in the transaction of its change: who has lost a right meanwhile gives it to
   * nobody. @throws RegistryError
   */
  readonly confirm: (authorize: Authorize, tx: RecordingWriter) => Promise<void>;
}

/** What the client keeps of a session: its secret, which no other answer ever holds. */
export interface KeptSession {
  readonly secret: string | undefined;
  keep(secret: string): void;
  drop(): void;
}

export interface Route {
  readonly contract: Contract;
  readonly run: (call: Call<Contract>) => Promise<unknown>;
}

/** Puts a contract together with what it does; of the one, the other's types are those. */
export const route = <C extends Contract>(
  contract: C,
  run: (call: Call<NoInfer<C>>) => Promise<Value<NoInfer<C>>>,
): Route => ({
  contract,
  run,
});
