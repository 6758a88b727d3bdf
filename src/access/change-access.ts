import type { Database } from "../platform/database/database.ts";
import { type RecordingWriter, writeEvents } from "../platform/events/record-events.ts";
import { countUpRevision } from "./access-revision.ts";
import { actorOf } from "./envelope.ts";
import type { Caller } from "./principal.ts";

/** Somebody who asked over the network, or an operator with the data folder in hand, who may do everything. */
export type Changer = Caller | "operator";

/**
 * A transaction that may give or take rights. Whether its changer may make the change at all, the entrance has asked;
 * the functions that take it see to what holds beyond that.
 */
export interface AccessChange {
  readonly tx: RecordingWriter;
  readonly database: Database;
  readonly by: Changer;
  /** Milliseconds since 1970. */
  readonly now: number;
}

/** Its first step: such changes come one after the other, and what they change counts with the next request. */
export async function beginChange(change: AccessChange): Promise<AccessChange> {
  await countUpRevision(change.tx);
  return change;
}

export interface ChangeDeps {
  readonly database: Database;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

/** A change in a transaction of its own, told with whose doing it was. @throws RegistryError */
export const changeAccess = <T>(
  { database, now }: ChangeDeps,
  by: Changer,
  work: (change: AccessChange) => Promise<T>,
): Promise<T> =>
  writeEvents(
    database,
    async (tx) => work(await beginChange({ tx, database, by, now: now() })),
    by === "operator"
      ? { actor: { kind: "operator", id: "", name: "operator" } }
      : { actor: actorOf(by), ...(by.remoteAddress !== undefined && { address: by.remoteAddress }) },
  );
