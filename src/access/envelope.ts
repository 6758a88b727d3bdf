import type { Actor, Envelope } from "../platform/events/access-event.ts";
import type { Caller } from "./principal.ts";

/** Whose doing a change is, and from where: handed on from the entrance to the function that writes. */
export const envelopeOf = (caller: Caller, requestId?: string): Envelope => ({
  actor: actorOf(caller),
  ...(caller.remoteAddress !== undefined && { address: caller.remoteAddress }),
  ...(requestId !== undefined && { requestId }),
});

function actorOf({ principal, ruleId, tokenId = ruleId }: Caller): Actor {
  if (principal.kind === "anonymous") return { kind: "anonymous", id: "", name: "anonymous" };
  const { kind, id, name } = principal;
  return { kind, id, name, ...(tokenId !== undefined && { tokenId }) };
}
