import type { Actor } from "../platform/events/actor.ts";
import type { Principal } from "./principal.ts";

/** From where somebody asks for a change. */
export interface From {
  readonly remoteAddress: string;
  readonly requestId: string;
}

/** Handed on from the entrance to the function that writes, so that the change's event tells it. */
export const actorOf = (principal: Principal, { remoteAddress, requestId }: From): Actor => {
  const from = { address: remoteAddress, requestId };
  return principal.kind === "account"
    ? { kind: "account", id: principal.id, name: principal.name, ...from }
    : { kind: "anonymous", ...from };
};
