import { matchesGlob } from "../pattern.ts";
import { type RankedRole, rankOf } from "../roles.ts";

export type ProtectedVerb = "create" | "update" | "delete";

/** The least role that may do what to tags of a pattern. */
export interface Protection {
  readonly pattern: string;
  readonly roles: Readonly<Partial<Record<ProtectedVerb, RankedRole>>>;
}

export interface Required {
  readonly role: RankedRole;
  readonly pattern: string;
}

/**
 * What the most restrictive of the rules asks for. To delete without naming a tag, which may take from any of them what it
 * needs, is asked of all rules.
 */
export function requiredBy(
  protections: readonly Protection[],
  verb: ProtectedVerb,
  tag: string | undefined,
): Required | undefined {
  let most: Required | undefined;
  for (const { pattern, roles } of protections) {
    const role = roles[verb];
    if (role === undefined || (tag !== undefined && !matchesGlob(pattern, tag))) continue;
    if (most === undefined || rankOf(role) > rankOf(most.role)) most = { role, pattern };
  }
  return most;
}
