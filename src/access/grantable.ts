import { parseRepositoryName, type RepositoryName } from "../oci/names.ts";
import type { Authorize } from "./authorize.ts";
import type { Verb } from "./permissions.ts";
import type { Caller } from "./principal.ts";
import type { Grant, WireAction } from "./scope.ts";

/** One of the verbs is enough for the action to be granted: each is decided again, by itself, when it is used. */
const verbsOf = {
  pull: ["read"],
  push: ["create", "update"],
  delete: ["delete"],
} as const satisfies Record<Exclude<WireAction, "*">, readonly Verb[]>;

const protocolActions = ["pull", "push", "delete"] as const;

/** What of `asked` the caller may have now. Less than was asked for, or nothing, is an answer and not an error. */
export async function grantable(
  authorize: Authorize,
  caller: Caller,
  asked: readonly Grant[],
): Promise<readonly Grant[]> {
  const grants = await Promise.all(
    asked.map(async (scope) => ({ ...scope, actions: await grantableActions(authorize, caller, scope) })),
  );
  return grants.filter(({ actions }) => actions.length > 0);
}

async function grantableActions(authorize: Authorize, caller: Caller, scope: Grant): Promise<readonly WireAction[]> {
  if (scope.type === "registry") {
    const wanted = scope.name === "catalog" && scope.actions.includes("*");
    return wanted && (await authorize(caller, "read", { kind: "catalog" })).allowed ? ["*"] : [];
  }
  const name = parseRepositoryName(scope.name);
  if (name === undefined) return [];
  const all = scope.actions.includes("*");
  // All at once: then what they have there is read once.
  const granted = await Promise.all(
    protocolActions.map(async (action) => {
      const isAsked = all || scope.actions.includes(action);
      return isAsked && (await allowsSome(authorize, caller, { name, verbs: verbsOf[action] })) ? action : undefined;
    }),
  );
  const some = granted.filter((action) => action !== undefined);
  return all && some.length === protocolActions.length ? [...some, "*"] : some;
}

async function allowsSome(
  authorize: Authorize,
  caller: Caller,
  { name, verbs }: { readonly name: RepositoryName; readonly verbs: readonly Verb[] },
): Promise<boolean> {
  const resource = { kind: "repository", name, tag: { some: true } } as const;
  const decisions = await Promise.all(verbs.map((verb) => authorize(caller, verb, resource)));
  return decisions.some(({ allowed }) => allowed);
}
