import type { Tag } from "../oci/names.ts";
import { type Circumstances, givesPermission, type Held, holdsNow } from "./held.ts";
import type { Permission, Subject, Verb } from "./permissions.ts";
import type { Asker } from "./principal.ts";
import type { Place, Rights } from "./rights.ts";
import { type Required, requiredBy } from "./protections/protection.ts";
import { lowestRoleWith, rankOf } from "./roles.ts";

/** What decided: a rule of the program, or a role and the grant it came by. */
export interface Because {
  readonly rule:
    | "open"
    | "public"
    | "internal"
    | "catalog"
    | "grant"
    | "owner"
    | "own-namespace"
    | "member"
    | "no-right"
    | "create-on-push"
    | "protected-tag"
    | "operator"
    | "scope"
    | "token-scope";
  readonly text: string;
  readonly role?: string;
  readonly grantId?: string;
}

/** What may change a decision while no right is changed. */
export interface DependsOn {
  readonly address?: true;
  /** Milliseconds since 1970. */
  readonly until?: number;
}

export type Decision =
  | { readonly allowed: true; readonly because: Because; readonly dependsOn?: DependsOn }
  | {
      readonly allowed: false;
      readonly because: Because;
      /** `scope`: the same principal with a wider token would be allowed. `right`: no token changes it. */
      readonly lacking: "scope" | "right";
      /** What would have to be given. */
      readonly missing?: string;
      readonly dependsOn?: DependsOn;
    };

export interface Question {
  readonly verb: Verb;
  readonly subject: Subject;
  /** The one tag that it is about, or some tag or other; otherwise all of the repository. */
  readonly tag?: Tag | { readonly some: true };
}

export interface Asking {
  readonly principal: Asker;
  readonly place: Place;
  readonly circumstances: Circumstances;
}

/** Whether what is held allows it: no token has been looked at. */
export function decide(rights: Rights, asking: Asking, question: Question): Decision {
  const { principal, place, circumstances } = asking;
  const permission: Permission = `${question.subject}:${question.verb}`;
  if (permission === "repository:read" && place.kind === "repository") {
    // One that is not there is nobody's to see, else a private one would be told from it where new ones are public.
    const visibility = rights.repository?.visibility;
    if (visibility === "public") return allow("public", "the repository is public");
    if (visibility === "internal" && (principal.kind === "account" || principal.kind === "team")) {
      return allow("internal", "the repository is for every account to read");
    }
  }
  const giving = rights.held.filter((held) => givesPermission(held, permission, question.tag));
  const depends = dependsOn(deciding(giving), circumstances);
  const best = giving.filter((held) => holdsNow(held, circumstances)).toSorted(byRank)[0];
  if (best === undefined)
    return { ...deny("no-right", "nothing that is held allows it", lackOf(permission)), ...depends };
  const isNew = place.kind === "repository" && rights.repository === undefined;
  // Whoever may only move tags pushes content too, and that makes a repository.
  const makes = permission === "repository:create" || permission === "repository:update";
  if (isNew && makes && !mayMake(rights, circumstances)) {
    return { ...deny("create-on-push", ...noCreation(rights)), ...depends };
  }
  const required = protectionOf(rights, question);
  if (required !== undefined && best.role.rank < rankOf(required.role)) {
    const text = `tags like ${required.pattern} are protected: to ${question.verb} them takes the role ${required.role}`;
    return { ...deny("protected-tag", text, text), ...depends };
  }
  return { allowed: true, because: becauseOf(best), ...depends };
}

/** What some tag or other would be asked is decided once the tag is known. */
function protectionOf({ protections }: Rights, { verb, subject, tag }: Question): Required | undefined {
  if (subject !== "repository" || verb === "read" || verb === "admin" || typeof tag === "object") return undefined;
  return tag === undefined && verb !== "delete" ? undefined : requiredBy(protections, verb, tag);
}

/** Those that may make a difference: none that is limited does so beside one that gives as much without. */
function deciding(giving: readonly Held[]): readonly Held[] {
  const unlimited = giving.filter(({ networks, until }) => networks === undefined && until === undefined);
  const always = Math.max(-1, ...unlimited.map(({ role }) => role.rank));
  return giving.filter(({ role }) => role.rank > always);
}

const byRank = (a: Held, b: Held): number => b.role.rank - a.role.rank;

/** Grants that are not in force, or will not be, may come to count with another address or lose with time. */
export function dependsOn(giving: readonly Held[], { now }: Circumstances): { readonly dependsOn?: DependsOn } {
  const ends = giving.flatMap(({ until }) => (until !== undefined && until > now ? until : []));
  const address = giving.some(({ networks }) => networks !== undefined);
  if (ends.length === 0 && !address) return {};
  return { dependsOn: { ...(address && { address }), ...(ends.length > 0 && { until: Math.min(...ends) }) } };
}

function mayMake({ createOnPush, held }: Rights, circumstances: Circumstances): boolean {
  if (createOnPush === "developers") return true;
  if (createOnPush === "nobody") return false;
  return held.some((one) => givesPermission(one, "repository:admin", undefined) && holdsNow(one, circumstances));
}

const noCreation = ({ createOnPush }: Rights): readonly [string, string] => [
  `there is no such repository, and its namespace has create-on-push: ${createOnPush}`,
  createOnPush === "nobody"
    ? "the repository does not exist and pushes do not create any here: a project-admin has to create it first"
    : "the repository does not exist and your pushes do not create any here: a project-admin has to create it first",
];

const lackOf = (permission: Permission): string =>
  `it takes ${permission}, which the role ${lowestRoleWith(permission)} has`;

function becauseOf({ role: { name: role }, by }: Held): Because {
  switch (by.kind) {
    case "grant": {
      const to = by.team === undefined ? toWhom[by.to] : `the team ${by.team}`;
      return { rule: "grant", role, grantId: by.id, text: `${to} has the role ${role} on the ${by.on}` };
    }
    case "owner":
      return { rule: "owner", role, text: "an owner of the organization may do this" };
    case "own-namespace":
      return { rule: "own-namespace", role, text: "it is in the account's own namespace" };
    case "member":
      return { rule: "member", role, text: "a member of the organization may do this" };
    default:
      return by satisfies never;
  }
}

const toWhom = {
  account: "the account",
  team: "a team",
  robot: "the robot",
  "signed-in": "everyone signed in",
  anonymous: "everyone",
} as const;

export const allow = (rule: Because["rule"], text: string): Decision => ({ allowed: true, because: { rule, text } });
export const deny = (rule: Because["rule"], text: string, missing?: string): Decision => ({
  allowed: false,
  because: { rule, text },
  lacking: "right",
  ...(missing !== undefined && { missing }),
});
