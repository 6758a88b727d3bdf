import { envelopeOf } from "../../access/envelope.ts";
import type { Registry } from "../../registry/registry.ts";
import type { Call } from "./endpoint.ts";

/** The registry for one request, so that what it changes is told to be its caller's doing. */
export const actingFor = (registry: Registry, { caller, request }: Pick<Call, "caller" | "request">): Registry => ({
  ...registry,
  by: envelopeOf(caller, request),
});
