import type { Authorize, Resource } from "../../access/authorize.ts";
import type { Decision } from "../../access/decide.ts";
import type { Verb } from "../../access/permissions.ts";
import type { Caller } from "../../access/principal.ts";
import { fail } from "../../oci/problem.ts";
import { deniedBy, denialOf } from "../../access/denied-by.ts";
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
 * right ones and still may not is told so, and what is missing if they may read there. The answer never depends on
 * whether a repository exists that the caller may not read.
 * @returns what allows it
 * @throws RegistryError UNAUTHORIZED, DENIED
 */
export async function requireAccess(
  authorize: Authorize,
  caller: Caller,
  { resource, need, scopes }: Wanted,
): Promise<Decision> {
  // What is done to one tag is decided once the tag is known.
  const some: Resource = resource.kind === "repository" ? { ...resource, tag: { some: true } } : resource;
  const refusals: Decision[] = [];
  for (const verb of verbs[need]) {
    const decision = await authorize(caller, verb, some);
    if (decision.allowed) return decision;
    refusals.push(decision);
  }
  const [first] = refusals;
  if (first === undefined) throw new Error("a need is at least one verb");
  const isAnonymous = caller.principal.kind === "anonymous";
  const mayWider = refusals.some((one) => !one.allowed && one.lacking === "scope");
  const mayKnow = !isAnonymous && need !== "pull" && !mayWider && (await authorize(caller, "read", some)).allowed;
  // With another token it is no denial; without any, nobody knows yet who it is.
  const denial = mayWider ? undefined : denialOf(first);
  if (!mayKnow && caller.scope !== undefined) {
    fail({ code: "UNAUTHORIZED", scopes, error: "insufficient_scope", ...(denial && { denial }) });
  }
  if (isAnonymous) fail({ code: "UNAUTHORIZED", scopes });
  return fail(deniedBy(first, mayKnow));
}
