import { sql } from "kysely";
import type { RepositoryName } from "../oci/names.ts";
import type { Visibility } from "../oci/visibility.ts";
import { textsOf } from "../platform/database/json-lists.ts";
import { prepared, type Reading } from "../platform/database/prepared.ts";
import { asMember, asOwner, asOwnNamespace, forReading, type GrantRow, type Held, heldBy } from "./held.ts";
import { matchesName, parseNamePattern } from "./pattern.ts";
import type { Asker } from "./principal.ts";
import type { RankedRole } from "./roles.ts";
import type { Protection } from "./protections/protection.ts";
import type { CreateOnPush, NamespaceOwnerKind, OrganizationRole } from "./tables.ts";

/** A place in the tree of instance, organization, namespaces and repository. */
export type Place =
  | { readonly kind: "repository"; readonly name: RepositoryName }
  /** An empty name is the one of names without a slash. */
  | { readonly kind: "namespace"; readonly name: string }
  | { readonly kind: "organization"; readonly id: string }
  | { readonly kind: "instance" };

/** What somebody has on a place, and what the place is. */
export interface Rights {
  /** Absent where there is no such repository. */
  readonly repository?: { readonly id: string; readonly visibility: Visibility };
  /** Of repositories that are made there. */
  readonly visibilityOfNew: Visibility;
  readonly createOnPush: CreateOnPush;
  readonly held: readonly Held[];
  /** Of its tags. */
  readonly protections: readonly Protection[];
}

/** The namespaces of a name, the outermost first. */
export function namespacesOf(name: string): readonly string[] {
  const segments = name.split("/");
  return segments.length === 1 ? [""] : segments.slice(1).map((_, at) => segments.slice(0, at + 1).join("/"));
}

interface Asked {
  readonly kind: string;
  readonly id: string;
  readonly repository: string;
  /** JSON */
  readonly namespaces: string;
  readonly organization: string;
}

interface NamespaceFacts {
  readonly kind: "namespace";
  readonly name: string;
  readonly owner_kind: NamespaceOwnerKind;
  readonly owner_id: string;
  readonly visibility: Visibility | null;
  readonly create_on_push: CreateOnPush | null;
}

interface ProtectionRow {
  readonly tag_pattern: string;
  readonly create_role: RankedRole | null;
  readonly update_role: RankedRole | null;
  readonly delete_role: RankedRole | null;
}

type Row =
  | { readonly kind: "repository"; readonly id: string; readonly visibility: Visibility }
  | NamespaceFacts
  | { readonly kind: "member"; readonly role: OrganizationRole }
  | { readonly kind: "stale" }
  | (ProtectionRow & { readonly kind: "protection" })
  | (GrantRow & { readonly kind: "grant"; readonly namespace: string | null; readonly pattern: string | null });

/** Who is meant where somebody asks: they themselves, their teams, everyone signed in, everyone. */
export const askingSql = (kind: string, id: string) => sql`
  select 'anonymous' as kind, '' as id, cast(null as text) as team
  union all select 'signed-in', '', null where ${kind} in ('account', 'team')
  union all select ${kind}, ${id}, null where ${kind} <> 'anonymous'
  union all select 'team', teams.id, organizations.name || '/' || teams.name
    from team_members join teams on teams.id = team_members.team_id
    join organizations on organizations.id = teams.organization_id
    where team_members.account_id = ${id} and ${kind} = 'account'`;

/** All that decides, in one query; the columns that a kind of row does not have are null. */
const load = prepared((read, given: Asked & Record<string, string>, dialect) => {
  const rows = sql<object>`(
    with asking as (${askingSql(given.kind, given.id)}),
    repository as (
      select cast(id as text) as id, visibility from repositories where name = ${given.repository}
    ),
    spaces as (
      select id, name, owner_kind, owner_id, visibility, create_on_push from namespaces
      where name in ${textsOf(dialect, given.namespaces)}
    ),
    places as (
      select 'instance' as kind, '' as id, cast(null as text) as namespace
      union all select 'organization', ${given.organization}, null
      union all select 'organization', owner_id, null from spaces where owner_kind = 'organization'
      union all select 'namespace', id, null from spaces
      union all select 'pattern', id, name from spaces
      union all select 'repository', id, null from repository
    )
    select 'grant' as kind, grants.id, grants.role, roles.name as role_name, roles.permissions,
      grants.principal_kind as granted_to, asking.team, grants.scope_kind, places.namespace, grants.pattern,
      grants.tag_pattern, grants.networks, grants.expires_at,
      cast(null as text) as name, cast(null as text) as owner_kind, cast(null as text) as owner_id,
      cast(null as text) as visibility, cast(null as text) as create_on_push,
      cast(null as text) as create_role, cast(null as text) as update_role, cast(null as text) as delete_role
    from places cross join asking
      join grants on grants.principal_kind = asking.kind and grants.principal_id = asking.id
        and grants.scope_kind = places.kind and grants.scope_id = places.id
      left join roles on roles.id = grants.role
    union all select 'namespace', id, null, null, null, null, null, null, null, null, null, null, null,
      name, owner_kind, owner_id, visibility, create_on_push, null, null, null from spaces
    union all select 'repository', id, null, null, null, null, null, null, null, null, null, null, null,
      null, null, null, visibility, null, null, null, null from repository
    union all select 'member', organization_id, role, null, null, null, null, null, null, null, null, null, null,
      null, null, null, null, null, null, null, null
    from organization_members where ${given.kind} = 'account' and account_id = ${given.id}
      and (organization_id = ${given.organization}
        or organization_id in (select owner_id from spaces where owner_kind = 'organization'))
    union all select 'member', organization_id, 'member', null, null, null, null, null, null, null, null, null, null,
      null, null, null, null, null, null, null, null
    from teams where ${given.kind} = 'team' and id = ${given.id}
      and (organization_id = ${given.organization}
        or organization_id in (select owner_id from spaces where owner_kind = 'organization'))
    union all select 'stale', account_id, null, null, null, null, null, null, null, null, null, null, null,
      null, null, null, null, null, null, null, null
    from account_identities where ${given.kind} = 'account' and account_id = ${given.id} and stale = 1
      and account_id not in (select account_id from account_identities
        where account_id = ${given.id} and stale = 0 and active = 1)
    union all select 'protection', rules.id, null, null, null, null, null, null, null, null, rules.pattern, null, null,
      null, null, null, null, null, rules.create_role, rules.update_role, rules.delete_role
    from places cross join tag_protections as rules
      where rules.scope_kind = places.kind and rules.scope_id = places.id
  )`;
  return read.selectFrom(rows.as("rights")).selectAll().$castTo<Row>();
});

export async function loadRights(database: Reading, principal: Asker, place: Place): Promise<Rights> {
  const rows = await load(database, {
    kind: principal.kind,
    id: principal.kind === "anonymous" ? "" : principal.id,
    repository: place.kind === "repository" ? place.name : "",
    namespaces: JSON.stringify(namespacesAt(place)),
    organization: place.kind === "organization" ? place.id : "",
  });
  const repository = rows.find((row) => row.kind === "repository");
  const namespaces = rows.filter((row) => row.kind === "namespace").toSorted((a, b) => a.name.length - b.name.length);
  const held = [...heldByPlace(principal, namespaces), ...rows.flatMap((row) => heldInRow(row, place))];
  return {
    ...(repository && { repository: { id: repository.id, visibility: repository.visibility } }),
    visibilityOfNew: namespaces.findLast(({ visibility }) => visibility !== null)?.visibility ?? "private",
    createOnPush: namespaces.findLast(({ create_on_push: rule }) => rule !== null)?.create_on_push ?? "project-admins",
    held: rows.some(({ kind }) => kind === "stale") ? held.map(forReading) : held,
    protections: rows.filter((row) => row.kind === "protection").map(toProtection),
  };
}

function namespacesAt(place: Place): readonly string[] {
  if (place.kind === "repository") return namespacesOf(place.name);
  if (place.kind !== "namespace") return [];
  return place.name.includes("/") ? [...namespacesOf(place.name), place.name] : [place.name];
}

const heldByPlace = (principal: Asker, namespaces: readonly NamespaceFacts[]): readonly Held[] =>
  principal.kind === "account" &&
  namespaces.some((one) => one.owner_kind === "account" && one.owner_id === principal.id)
    ? [asOwnNamespace]
    : [];

function heldInRow(row: Row, place: Place): readonly Held[] {
  switch (row.kind) {
    case "member":
      return row.role === "owner" ? [asOwner, asMember] : [asMember];
    case "grant":
      return row.scope_kind !== "pattern" || coversByPattern(row, place) ? [heldBy(row)] : [];
    case "namespace":
    case "repository":
    case "stale":
    case "protection":
      return [];
    default:
      return row satisfies never;
  }
}

const toProtection = (row: ProtectionRow): Protection => ({
  pattern: row.tag_pattern,
  roles: {
    ...(row.create_role !== null && { create: row.create_role }),
    ...(row.update_role !== null && { update: row.update_role }),
    ...(row.delete_role !== null && { delete: row.delete_role }),
  },
});

function coversByPattern(
  { namespace, pattern }: { readonly namespace: string | null; readonly pattern: string | null },
  place: Place,
): boolean {
  const parsed = parseNamePattern(pattern ?? "");
  if (parsed === undefined || namespace === null || place.kind !== "repository") return false;
  return matchesName(parsed, namespace === "" ? place.name : place.name.slice(namespace.length + 1));
}

/** What repositories of this name are made as. */
export async function visibilityOfNew(database: Reading, name: RepositoryName): Promise<Visibility> {
  return (await loadRights(database, { kind: "anonymous" }, { kind: "repository", name })).visibilityOfNew;
}
