import type { Authorize, Decision, Resource, Verb } from "../../access/authorize.ts";
import type { Caller } from "../../access/principal.ts";
import { fail } from "../../oci/problem.ts";
import type { Need } from "./endpoint.ts";

const verbs: Readonly<Record<Need, readonly [Verb, ...Verb[]]>> = {
  pull: ["read"],
  push: ["create", "update"],
  delete: ["delete"],
};

const wireActions: Readonly<Record<Need, string>> = { pull: "pull", push: "pull,push", delete: "delete" };

export interface Wanted {
  readonly resource: Resource;
  readonly need: Need;
  /** All that the request needs, for the challenge. */
  readonly scopes: readonly string[];
}

/** The scope that a challenge asks for (docker's token specification). */
export const scopeOf = (resource: Resource, need: Need): string =>
  resource.kind === "repository" ? `repository:${resource.name}:${wireActions[need]}` : "registry:catalog:*";

/**
 * Lets the request on, or refuses it: who might be allowed with other credentials is asked for them, who showed the
 * right ones and still may not is told so. The answer never depends on whether the repository exists.
 * @throws RegistryError UNAUTHORIZED, DENIED
 */
export function requireAccess(authorize: Authorize, caller: Caller, { resource, need, scopes }: Wanted): void {
  const decisions: readonly Decision[] = verbs[need].map((verb) => authorize(caller, verb, resource));
  if (decisions.some((decision) => decision.allowed)) return;
  if (caller.scope !== undefined) fail({ code: "UNAUTHORIZED", scopes, error: "insufficient_scope" });
  if (caller.principal.kind === "anonymous") fail({ code: "UNAUTHORIZED", scopes });
  fail({ code: "DENIED", rule: decisions[0]?.because ?? "" });
}
