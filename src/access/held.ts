import { type Networks, openNetworks } from "../platform/net/networks.ts";
import { parsePermission, type Permission } from "./permissions.ts";
import { matchesGlob } from "./pattern.ts";
import { builtInRole, findBuiltInRole, type Role, roleOf } from "./roles.ts";
import type { GrantedKind, GrantScopeKind } from "./tables.ts";

/** A role that somebody has on a place, and by what. */
export interface Held {
  readonly role: Role;
  readonly by:
    | {
        readonly kind: "grant";
        readonly id: string;
        readonly to: GrantedKind;
        /** Of the team, where it is to one. */
        readonly team?: string;
        readonly on: GrantScopeKind;
      }
    | { readonly kind: "owner" | "member" | "own-namespace" };
  readonly tagPattern?: string;
  readonly networks?: Networks;
  readonly until?: number;
}

/** A grant, as queries of rights bring it. */
export interface GrantRow {
  readonly id: string;
  readonly role: string;
  /** Of a role that is not built in; JSON. */
  readonly permissions: string | null;
  readonly role_name: string | null;
  readonly granted_to: GrantedKind;
  readonly team: string | null;
  readonly scope_kind: GrantScopeKind;
  readonly tag_pattern: string | null;
  readonly networks: string | null;
  readonly expires_at: number | null;
}

export function heldBy(row: GrantRow): Held {
  const { tag_pattern: tagPattern, networks, expires_at: until } = row;
  return {
    role: roleIn(row),
    by: {
      kind: "grant",
      id: row.id,
      to: row.granted_to,
      ...(row.team !== null && { team: row.team }),
      on: row.scope_kind,
    },
    ...(tagPattern !== null && { tagPattern }),
    ...(networks !== null && { networks: openNetworks(listIn(networks)) }),
    ...(until !== null && { until }),
  };
}

/** Of somebody whose source of identity has not confirmed them for too long. */
export const forReading = (held: Held): Held => ({
  ...held,
  role: roleOf(
    `${held.role.name}, to read`,
    new Set([...held.role.permissions].filter((permission) => permission.endsWith(":read"))),
  ),
});

/** A role that is gone, or that this build does not know, allows nothing. */
const roleIn = ({ role, role_name: name, permissions }: GrantRow): Role =>
  findBuiltInRole(role) ?? roleOf(name ?? role, permissionsIn(permissions ?? "[]"));

/** A permission that this build does not know is none. */
export const permissionsIn = (json: string): ReadonlySet<Permission> =>
  new Set(listIn(json).flatMap((text) => parsePermission(text) ?? []));

/** As it was stored: a list of texts. */
export function listIn(json: string): readonly string[] {
  const list: unknown = JSON.parse(json);
  return Array.isArray(list) ? list.filter((one) => typeof one === "string") : [];
}

export const asOwner: Held = { role: builtInRole("project-admin"), by: { kind: "owner" } };
export const asOwnNamespace: Held = { role: builtInRole("project-admin"), by: { kind: "own-namespace" } };
/** Members see whom they are with; images are for teams to be granted. */
export const asMember: Held = {
  role: roleOf("member", new Set<Permission>(["organization:read", "member:read"])),
  by: { kind: "member" },
};

/** What a right may depend on beside who has it. */
export interface Circumstances {
  readonly remoteAddress: string | undefined;
  /** Milliseconds since 1970. */
  readonly now: number;
}

export const holdsNow = ({ networks, until }: Held, { remoteAddress, now }: Circumstances): boolean =>
  (until === undefined || now < until) &&
  (networks === undefined || (remoteAddress !== undefined && networks.has(remoteAddress)));

const ofTags: ReadonlySet<Permission> = new Set(["repository:create", "repository:update", "repository:delete"]);

/** `some`: whether it would do for any tag at all; `undefined`: for all of them, and what has none. */
export function givesPermission(
  { role, tagPattern }: Held,
  permission: Permission,
  tag: string | { readonly some: true } | undefined,
): boolean {
  if (!role.permissions.has(permission)) return false;
  if (tagPattern === undefined || permission.endsWith(":read")) return true;
  if (tag === undefined || !ofTags.has(permission)) return false;
  return typeof tag !== "string" || matchesGlob(tagPattern, tag);
}
