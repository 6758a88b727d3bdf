import { parseRepositoryName, type RepositoryName } from "../oci/names.ts";
import type { Authorize, Verb } from "./authorize.ts";
import { type Caller } from "./principal.ts";
import type { Grant, WireAction } from "./scope.ts";

/** One of the verbs is enough for the action to be granted: each is decided again, by itself, when it is used. */
const verbsOf = {
  pull: ["read"],
  push: ["create", "update"],
  delete: ["delete"],
} as const satisfies Record<Exclude<WireAction, "*">, readonly Verb[]>;

/** What of `asked` the caller may have now. Less than was asked for, or nothing, is an answer and not an error. */
export function grantable(authorize: Authorize, caller: Caller, asked: readonly Grant[]): readonly Grant[] {
  return asked
    .map((scope) => ({ ...scope, actions: grantableActions(authorize, caller, scope) }))
    .filter(({ actions }) => actions.length > 0);
}

function grantableActions(authorize: Authorize, caller: Caller, scope: Grant): readonly WireAction[] {
  if (scope.type === "registry") {
    const wanted = scope.name === "catalog" && scope.actions.includes("*");
    return wanted && authorize(caller, "read", { kind: "catalog" }).allowed ? ["*"] : [];
  }
  const name = parseRepositoryName(scope.name);
  if (name === undefined) return [];
  const may = (action: keyof typeof verbsOf): boolean =>
    allowsSome(authorize, caller, { name, verbs: verbsOf[action] });
  const all = scope.actions.includes("*");
  const granted = (["pull", "push", "delete"] as const).filter(
    (action) => (all || scope.actions.includes(action)) && may(action),
  );
  return all && granted.length === 3 ? [...granted, "*"] : granted;
}

const allowsSome = (
  authorize: Authorize,
  caller: Caller,
  wanted: { readonly name: RepositoryName; readonly verbs: readonly Verb[] },
): boolean => wanted.verbs.some((verb) => authorize(caller, verb, { kind: "repository", name: wanted.name }).allowed);
