import type { Database } from "../platform/database/database.ts";
import type { Actor, Envelope } from "../platform/events/access-event.ts";
import { type RecordingWriter, writeEvents } from "../platform/events/record-events.ts";
import { countUpRevision } from "./access-revision.ts";
import type { Authorize } from "./authorize.ts";
import type { Caller } from "./principal.ts";

/** Who changes something: somebody who asked over the network, or an operator with the data folder in hand. */
export interface By {
  readonly caller: Caller | "operator";
  readonly requestId?: string;
}

export const operator: By = { caller: "operator" };

/** What changes of rights work on. Whether the caller may make the change at all, the entrance asks before. */
export interface AccessModel {
  readonly database: Database;
  readonly authorize: Authorize;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

/** A change that can give or take rights: it counts with the next request, and is told with whose doing it was. */
export const changeAccess = <T>(
  { database }: Pick<AccessModel, "database">,
  by: By,
  work: (tx: RecordingWriter) => Promise<T>,
): Promise<T> =>
  writeEvents(
    database,
    async (tx) => {
      await countUpRevision(tx);
      return work(tx);
    },
    envelopeOf(by),
  );

function envelopeOf({ caller, requestId }: By): Envelope {
  const address = caller === "operator" ? undefined : caller.remoteAddress;
  return {
    actor: actorOf(caller),
    ...(address !== undefined && { address }),
    ...(requestId !== undefined && { requestId }),
  };
}

function actorOf(caller: By["caller"]): Actor {
  if (caller === "operator") return { kind: "operator", id: "", name: "operator" };
  const { principal, tokenId } = caller;
  if (principal.kind === "anonymous") return { kind: "anonymous", id: "", name: "anonymous" };
  const { kind, id, name } = principal;
  return { kind, id, name, ...(tokenId !== undefined && { tokenId }) };
}
