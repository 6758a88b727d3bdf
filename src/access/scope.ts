/** What a token scope may ask for on the wire; Berth's own verbs are finer (see `wireAction`). */
export type WireAction = "pull" | "push" | "delete" | "*";
export type ScopeType = "repository" | "registry";

/** One resource of a token request, and of the `access` claim: what was asked for, or what was granted. */
export interface Grant {
  readonly type: ScopeType;
  readonly name: string;
  readonly actions: readonly WireAction[];
}

/** Together they keep the token that lists them below the 16 KiB that servers and proxies allow a header. */
const mostScopes = 64;
const longestScopeCharacters = 6 * 1024;

const scopeTypes = new Map<string, ScopeType>([
  ["repository", "repository"],
  ["registry", "registry"],
]);
const wireActions = new Map<string, WireAction>([
  ["pull", "pull"],
  ["push", "push"],
  ["delete", "delete"],
  ["*", "*"],
]);

export type ParsedScopes =
  | { readonly kind: "scopes"; readonly scopes: readonly Grant[] }
  | { readonly kind: "too-many" };

/**
 * Reads `type[(class)]:name:action,action`, several of them in one value and several values. Unknown types and actions
 * are dropped, and so is what does not parse: asking for too much is never an error. Only the amount is bounded.
 */
export function parseScopes(values: readonly string[]): ParsedScopes {
  const characters = values.reduce((sum, value) => sum + value.length, 0);
  if (characters > longestScopeCharacters) return { kind: "too-many" };
  const texts = values.flatMap((value) => value.split(" ")).filter((text) => text !== "");
  if (texts.length > mostScopes) return { kind: "too-many" };
  const merged = new Map<string, Grant>();
  for (const text of texts) {
    const scope = parseScope(text);
    if (scope === undefined) continue;
    const key = `${scope.type}:${scope.name}`;
    const actions = new Set([...(merged.get(key)?.actions ?? []), ...scope.actions]);
    merged.set(key, { ...scope, actions: [...actions] });
  }
  return { kind: "scopes", scopes: [...merged.values()] };
}

/** A name may hold a colon of its own (`host:port/name`), so the first and the last one separate. */
function parseScope(text: string): Grant | undefined {
  const first = text.indexOf(":");
  const last = text.lastIndexOf(":");
  if (first === last) return undefined;
  const [typeName = ""] = text.slice(0, first).split("(", 1);
  const type = scopeTypes.get(typeName);
  const name = text.slice(first + 1, last);
  if (type === undefined || name === "") return undefined;
  const actions = text
    .slice(last + 1)
    .split(",")
    .map((action) => wireActions.get(action))
    .filter((action) => action !== undefined);
  return { type, name, actions };
}

export const formatScope = (scope: Grant): string => `${scope.type}:${scope.name}:${scope.actions.join(",")}`;
