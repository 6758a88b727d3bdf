import type { Caller } from "../access/principal.ts";
import type { Envelope } from "../platform/events/access-event.ts";
import type { Incoming } from "../platform/runtime/http.ts";

/** Whose doing a change is, and from where: handed on from the entrance to the function that writes. */
export const envelopeOf = (
  { principal }: Caller,
  { remoteAddress, requestId }: Pick<Incoming, "remoteAddress" | "requestId">,
): Envelope => ({
  actor:
    principal.kind === "account"
      ? { kind: "account", id: principal.id, name: principal.name }
      : { kind: "anonymous", id: "", name: "anonymous" },
  address: remoteAddress,
  requestId,
});
