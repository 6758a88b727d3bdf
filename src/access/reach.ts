import { sql } from "kysely";
import { prepared, type Reading } from "../platform/database/prepared.ts";
import { asOwner, asOwnNamespace, givesPermission, type GrantRow, type Held, heldBy } from "./held.ts";
import { parseNamePattern } from "./pattern.ts";
import type { Principal } from "./principal.ts";
import { askingSql } from "./rights.ts";

/** Names of repositories from one to another, as a comparison of bytes sees them, whose segments are like these. */
export interface NameRange {
  readonly from: string;
  readonly before: string;
  /** Patterns of LIKE, one a segment from the first on; where there are fewer, the others may be anything. */
  readonly likes: readonly string[];
}

/** Repositories that something held lets somebody read. */
export type Area =
  | { readonly kind: "everything" }
  | { readonly kind: "names"; readonly range: NameRange }
  | { readonly kind: "repository"; readonly name: string };

export interface Reached {
  readonly area: Area;
  readonly held: Held;
}

type Row =
  | (GrantRow & {
      readonly kind: "grant";
      /** Of a single repository, the name of that. */
      readonly namespace: string | null;
      readonly pattern: string | null;
    })
  | { readonly kind: "owner" | "own-namespace"; readonly namespace: string };

/** Everything that somebody holds, and where: one query. */
const load = prepared((read, given: { readonly kind: string; readonly id: string }) => {
  const rows = sql<object>`(
    with asking as (${askingSql(given.kind, given.id)}),
    held as (
      select grants.*, asking.team, roles.name as role_name, roles.permissions
      from asking cross join grants left join roles on roles.id = grants.role
      where grants.principal_kind = asking.kind and grants.principal_id = asking.id
    ),
    owned as (
      select 'owner' as kind, 'organization' as owner_kind, organization_id as owner_id
        from organization_members where ${given.kind} = 'account' and account_id = ${given.id} and role = 'owner'
      union all select 'own-namespace', 'account', ${given.id} where ${given.kind} = 'account'
    ),
    placed as (
      select held.*, cast(null as text) as namespace from held where scope_kind = 'instance'
      union all select held.*, repositories.name from held join repositories on repositories.id =
        cast(case when held.scope_kind = 'repository' then held.scope_id else '0' end as bigint)
      union all select held.*, namespaces.name from held join namespaces on namespaces.id = held.scope_id
        where scope_kind in ('namespace', 'pattern')
      union all select held.*, namespaces.name from held join namespaces
        on namespaces.owner_kind = 'organization' and namespaces.owner_id = held.scope_id
        where scope_kind = 'organization'
    )
    select 'grant' as kind, id, role, role_name, permissions, principal_kind as granted_to, team, scope_kind,
      namespace, pattern, tag_pattern, networks, expires_at from placed
    union all select owned.kind, null, null, null, null, null, null, null, namespaces.name, null, null, null, null
      from owned join namespaces
        on namespaces.owner_kind = owned.owner_kind and namespaces.owner_id = owned.owner_id
  )`;
  return read.selectFrom(rows.as("reached")).selectAll().orderBy(sql.ref("namespace")).$castTo<Row>();
});

/** Where somebody may read by what they hold, single repositories by name; what is public is not in it. */
export async function loadReach(database: Reading, principal: Principal): Promise<readonly Reached[]> {
  const id = principal.kind === "anonymous" ? "" : principal.id;
  const rows = await load(database, { kind: principal.kind, id });
  return rows
    .map((row): Reached => ({ area: areaOf(row), held: heldIn(row) }))
    .filter(({ held }) => givesPermission(held, "repository:read", undefined));
}

function heldIn(row: Row): Held {
  if (row.kind === "grant") return heldBy(row);
  return row.kind === "owner" ? asOwner : asOwnNamespace;
}

function areaOf(row: Row): Area {
  if (row.kind !== "grant") return { kind: "names", range: below(row.namespace) };
  switch (row.scope_kind) {
    case "instance":
      return { kind: "everything" };
    case "repository":
      return { kind: "repository", name: row.namespace ?? "" };
    case "organization":
    case "namespace":
      return { kind: "names", range: below(row.namespace ?? "") };
    case "pattern":
      return { kind: "names", range: rangeOfPattern(row.namespace ?? "", row.pattern ?? "") };
    default:
      return row.scope_kind satisfies never;
  }
}

/** After all names: none begins with it. */
const afterAll = "{";

/** `/` is followed by `0`. Names without a slash are the root's: one segment, and nothing behind it. */
const below = (namespace: string): NameRange =>
  namespace === ""
    ? { from: "", before: afterAll, likes: ["_%", ""] }
    : { from: `${namespace}/`, before: `${namespace}0`, likes: [] };

/** What is no pattern reaches nothing. */
export function rangeOfPattern(namespace: string, pattern: string): NameRange {
  const parsed = parseNamePattern(namespace === "" ? pattern : `${namespace}/${pattern}`);
  if (parsed === undefined) return { from: "", before: "", likes: [] };
  const { segments, isOpen } = parsed;
  const text = segments.join("/");
  const [literal = ""] = text.split("*", 1);
  const from = literal === text && isOpen && text !== "" ? `${text}/` : literal;
  const isExact = literal === text && !isOpen;
  return {
    from,
    before: isExact ? `${from}-` : from === "" ? afterAll : textAfter(from),
    likes: [...segments.map(likeOf), isOpen ? "_%" : ""],
  };
}

/** The first text after all that begin with this one; names are ASCII. */
const textAfter = (text: string): string =>
  `${text.slice(0, -1)}${String.fromCharCode(text.charCodeAt(text.length - 1) + 1)}`;

/** `_` and `%` mean something to LIKE, and `_` is in names; `!`, which takes that from them, is in none. */
const likeOf = (glob: string): string => glob.replaceAll(/[_%]/g, "!$&").replaceAll("*", "%");
