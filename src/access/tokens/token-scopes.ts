import { matchesGlob, parseNamePattern } from "../pattern.ts";
import { parsePermission, type Permission } from "../permissions.ts";
import type { TokenScope } from "../principal.ts";
import { refuse } from "../refusal.ts";

const mostScopes = 32;

/**
 * `acme/**:read,create,member:read`: a pattern of names, and what may be done there; a verb by itself is about images.
 * @throws RegistryError
 */
export function parseTokenScopes(texts: readonly string[]): readonly TokenScope[] {
  if (texts.length === 0 || texts.length > mostScopes) {
    refuse("invalid", `a token has 1 to ${String(mostScopes)} scopes, such as 'acme/**:read,create'`);
  }
  return texts.map(parseTokenScope);
}

function parseTokenScope(text: string): TokenScope {
  const [pattern = "", ...rest] = text.split(":");
  if (parseNamePattern(pattern) === undefined) {
    refuse("invalid", `${text} is no scope: before the first colon stands a pattern of names, such as acme/**`);
  }
  const permissions = rest
    .join(":")
    .split(",")
    .map(
      (word) =>
        parsePermission(word.includes(":") ? word : `repository:${word}`) ??
        refuse("invalid", `${word} in ${text} is no verb, and no subject:verb`),
    );
  return { pattern, permissions: [...new Set(permissions)] };
}

export const formatTokenScope = ({ pattern, permissions }: TokenScope): string =>
  `${pattern}:${permissions.map((one) => one.replace(/^repository:/, "")).join(",")}`;

/** As they were stored; a permission that this build does not know is none. */
export function tokenScopesIn(json: string): readonly TokenScope[] {
  const list: unknown = JSON.parse(json);
  return Array.isArray(list) ? list.flatMap(scopeIn) : [];
}

function scopeIn(one: unknown): readonly TokenScope[] {
  if (typeof one !== "object" || one === null || !("pattern" in one) || !("permissions" in one)) return [];
  const { pattern, permissions } = one;
  if (typeof pattern !== "string" || !Array.isArray(permissions)) return [];
  return [
    { pattern, permissions: permissions.flatMap((text) => (typeof text === "string" && parsePermission(text)) || []) },
  ];
}

/** Whether what the scopes let somebody do, the others let them do too. */
export const isWithin = (scopes: readonly TokenScope[], others: readonly TokenScope[]): boolean =>
  scopes.every(({ pattern, permissions }) =>
    permissions.every((permission) => others.some((other) => covers(other, pattern, permission))),
  );

/** A glob matches another, taken as a text, where it matches all that the other one does. */
function covers({ pattern, permissions }: TokenScope, other: string, permission: Permission): boolean {
  if (!permissions.includes(permission)) return false;
  const [outer, inner] = [parseNamePattern(pattern), parseNamePattern(other)];
  if (outer === undefined || inner === undefined) return false;
  const [most, least] = [inner.segments.length, outer.segments.length];
  if (outer.isOpen ? most + (inner.isOpen ? 1 : 0) <= least : inner.isOpen || most !== least) return false;
  return outer.segments.every((glob, at) => matchesGlob(glob, inner.segments[at] ?? ""));
}
