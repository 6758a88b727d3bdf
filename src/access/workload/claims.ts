import { matchesGlob } from "../pattern.ts";

const longestValueCharacters = 2048;

/** Whether a claim is what a pattern says; of a list, whether one of it is. What is missing never is. */
export const holds = (pattern: string, values: readonly string[]): boolean =>
  values.some((value) => value.length <= longestValueCharacters && matchesGlob(pattern, value));

/** What a claim says, as texts: none where it is missing, or is no value that could be compared. */
export function valuesOf(claims: Readonly<Record<string, unknown>>, claim: string): readonly string[] {
  const found = memberOf(claims, pathOf(claim));
  const values = (Array.isArray(found) ? found : [found]).flatMap((value: unknown) => textOf(value) ?? []);
  return claim === "sub" ? values.flatMap((value) => subjectsOf(claims["iss"], value)) : values;
}

function textOf(value: unknown): string | undefined {
  if (typeof value === "string") return value;
  return typeof value === "boolean" || Number.isSafeInteger(value) ? String(value) : undefined;
}

/** Names have slashes in them too, so a pointer begins with one. */
const pathOf = (claim: string): readonly string[] =>
  claim.startsWith("/")
    ? claim
        .slice(1)
        .split("/")
        .map((step) => step.replaceAll("~1", "/").replaceAll("~0", "~"))
    : [claim];

function memberOf(value: unknown, [step, ...rest]: readonly string[]): unknown {
  if (step === undefined) return value;
  const isObject = typeof value === "object" && value !== null && !Array.isArray(value) && Object.hasOwn(value, step);
  return isObject ? memberOf(new Map<string, unknown>(Object.entries(value)).get(step), rest) : undefined;
}

export const githubIssuer = "https://token.actions.githubusercontent.com";
const withIds = /^repo:([^/@:]+)@\d+\/([^/@:]+)@\d+(:.*)$/s;

/**
 * GitHub writes the ids of owner and repository behind their names, for repositories since July 2026: a rule with the names
 * alone holds for these too, and is worth what it was.
 */
function subjectsOf(issuer: unknown, subject: string): readonly string[] {
  const isGithub = issuer === githubIssuer || (typeof issuer === "string" && issuer.endsWith("/_services/token"));
  const [, owner, repository, rest] = (isGithub ? withIds.exec(subject) : null) ?? [];
  return owner === undefined ? [subject] : [subject, `repo:${owner}/${repository ?? ""}${rest ?? ""}`];
}
