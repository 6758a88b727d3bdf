import type { Actor, Envelope } from "../platform/events/access-event.ts";
import type { Caller } from "./principal.ts";

/** Whose doing a change is, and from where: handed on from the entrance to the function that writes. */
export const envelopeOf = (caller: Caller, { remoteAddress, requestId }: Asking): Envelope => ({
  actor: actorOf(caller),
  address: remoteAddress,
  ...(requestId !== undefined && { requestId }),
});

/** The request that asks for a change. */
export interface Asking {
  readonly remoteAddress: string;
  readonly requestId?: string;
}

export function actorOf({ principal, ruleId, tokenId = ruleId }: Caller): Actor {
  if (principal.kind === "anonymous") return { kind: "anonymous", id: "", name: "anonymous" };
  const { kind, id, name } = principal;
  return { kind, id, name, ...(tokenId !== undefined && { tokenId }) };
}
