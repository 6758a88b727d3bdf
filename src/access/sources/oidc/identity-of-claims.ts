import type { OidcSettings } from "../../../platform/config/oidc-source-schema.ts";
import { canonicalName } from "../../account-name.ts";
import { matchesGlob } from "../../pattern.ts";
import type { BrowserAnswer, InstanceRole } from "../source.ts";

/** What a provider says of somebody, from whichever of its answers. */
export type Claims = Readonly<Record<string, unknown>>;

const mostSubjectCharacters = 255;
const mostNameCharacters = 255;
const mostGroupCharacters = 1024;
const mostGroups = 5000;

/** Who it is, or why nobody can tell. */
export function identityOfClaims(settings: OidcSettings, issuer: string, claims: Claims): BrowserAnswer {
  const { nameClaim, displayNameClaim, emailClaim, groups: ofGroups } = settings;
  const subject = textAt(claims, "sub", mostSubjectCharacters);
  if (subject === undefined) return refused("the token's sub cannot be stored");
  const name = textAt(claims, nameClaim, mostNameCharacters);
  if (name === undefined || canonicalName(name) === "")
    return refused(`there is no claim ${nameClaim} that could be a name`);
  const found = groupsOf(ofGroups, claims);
  if (found === undefined) return refused("the provider does not name the groups, as there are too many");
  if (ofGroups?.required !== undefined && !ofGroups.required.some((group) => found.includes(group)))
    return refused("they are in none of groups.required");
  return {
    kind: "identity",
    identity: {
      subject: `${issuer}#${subject}`,
      name: canonicalName(name),
      displayName: textAt(claims, displayNameClaim, mostNameCharacters),
      email: textAt(claims, emailClaim, mostNameCharacters),
      groups: found,
      roles: rolesOf(ofGroups, found),
      restricted: false,
    },
  };
}

const refused = (why: string): BrowserAnswer => ({ kind: "refused", why });

/** Under the very name, or else along the dots in it: `realm_access.roles`. */
export function claimAt(claims: Claims, name: string): unknown {
  if (Object.hasOwn(claims, name)) return claims[name];
  return name
    .split(".")
    .reduce<unknown>(
      (value, part) =>
        typeof value === "object" && value !== null ? Object.getOwnPropertyDescriptor(value, part)?.value : undefined,
      claims,
    );
}

function textAt(claims: Claims, name: string, mostCharacters: number): string | undefined {
  const value = claimAt(claims, name);
  return typeof value === "string" && isText(value, mostCharacters) ? value : undefined;
}

const isText = (text: string, mostCharacters: number): boolean =>
  text !== "" && text.length <= mostCharacters && !text.includes("\0") && text.isWellFormed();

/** The spelling of a group's name here is the provider's. */
export const groupNameIn = (text: string): string | undefined => (isText(text, mostGroupCharacters) ? text : undefined);

/**
 * `undefined` where the provider says that they are told elsewhere, as Microsoft's does of people who are in very many: to
 * take that for none would put people out of their teams.
 */
function groupsOf(settings: OidcSettings["groups"], claims: Claims): readonly string[] | undefined {
  if (settings === undefined) return [];
  const value = claimAt(claims, settings.claim);
  if (value === undefined && claimAt(claims, `_claim_names.${settings.claim}`) !== undefined) return undefined;
  const all = typeof value === "string" ? [value] : Array.isArray(value) ? value : [];
  if (all.length > mostGroups) return undefined;
  const { filter } = settings;
  const named = all.flatMap((one) => (typeof one === "string" ? (groupNameIn(one) ?? []) : []));
  return [...new Set(named)].filter((group) => filter === undefined || filter.some((glob) => matchesGlob(glob, group)));
}

function rolesOf(settings: OidcSettings["groups"], groups: readonly string[]): readonly InstanceRole[] {
  const isIn = (group: string | undefined): boolean => group !== undefined && groups.includes(group);
  return [
    ...(isIn(settings?.adminGroup) ? (["administrator"] as const) : []),
    ...(isIn(settings?.auditorGroup) ? (["auditor"] as const) : []),
  ];
}
