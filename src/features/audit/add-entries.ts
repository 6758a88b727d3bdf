import { sql } from "kysely";
import type { JsonObject } from "../../oci/json.ts";
import type { Writer } from "../../platform/database/database.ts";
import { inChunks } from "../../platform/database/in-chunks.ts";
import { loggable } from "../../platform/telemetry/loggable.ts";
import type { Entry } from "./entry.ts";

/**
 * Adds entries in their order. Who adds some waits for who is adding others, so that ids have no gap and are committed
 * in their order: whoever has read up to one has missed none.
 * @returns the id of the first
 */
export async function addEntries(tx: Writer, entries: readonly Entry[]): Promise<number> {
  const { last_id } = await tx
    .updateTable("audit_state")
    .set({ last_id: sql<number>`last_id + ${entries.length}` })
    .where("id", "=", 1)
    .returning("last_id")
    .executeTakeFirstOrThrow();
  const first = last_id - entries.length + 1;
  const rows = entries.map((entry, index) => rowOf(entry, first + index));
  for (const some of inChunks(rows)) await tx.insertInto("audit_entries").values(some).execute();
  return first;
}

const mostTextCharacters = 512;
const mostDetailCharacters = 16_384;

/** Whatever of it came from a client is bounded and clean: no reader of it is to be moved by what it says. */
const clean = (text: string): string => loggable(text, mostTextCharacters);
const cleanOr = (text: string | undefined): string | null => (text === undefined ? null : clean(text));

function rowOf({ at, action, outcome, by, repository, target, times = 1, detail = {} }: Entry, id: number) {
  const { actor, address, requestId } = by;
  return {
    id,
    at,
    action,
    outcome,
    actor_kind: actor.kind,
    actor_id: clean(actor.id),
    actor_name: clean(actor.name),
    token_id: cleanOr(actor.tokenId),
    address: cleanOr(address),
    request_id: cleanOr(requestId),
    repository: cleanOr(repository),
    target: cleanOr(target),
    times,
    detail: detailText(detail),
  };
}

function detailText(detail: JsonObject): string {
  const text = JSON.stringify(detail, (_, value: unknown) => (typeof value === "string" ? clean(value) : value));
  return text.length <= mostDetailCharacters ? text : JSON.stringify({ omittedCharacters: text.length });
}
