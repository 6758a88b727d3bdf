import { sql } from "kysely";
import { parseRepositoryName } from "../../oci/names.ts";
import type { Reader } from "../../platform/database/database.ts";
import { type Page, type PageRequest, toPage } from "../../registry/repositories.ts";
import type { Resource } from "../authorize.ts";
import { listIn } from "../held.ts";
import { namespaceLabel } from "../organizations/namespaces.ts";
import type { GrantedKind, GrantScopeKind } from "../tables.ts";

/** A grant as it is shown: names in the place of ids. */
export interface GrantShown {
  readonly id: string;
  readonly role: string;
  readonly to: { readonly kind: GrantedKind; readonly name: string };
  readonly on: { readonly kind: GrantScopeKind; readonly name: string };
  readonly tags?: string;
  readonly networks?: readonly string[];
  /** Milliseconds since 1970. */
  readonly until?: number;
}

export interface GrantFilter {
  readonly to?: { readonly kind: GrantedKind; readonly id: string };
  readonly on?: { readonly kind: GrantScopeKind; readonly id: string };
}

/** By id. */
export async function listGrants(
  reader: Reader,
  filter: GrantFilter,
  { after, limit }: PageRequest,
): Promise<Page<GrantShown>> {
  const rows = await shown(reader)
    .$if(filter.to !== undefined, (query) =>
      query
        .where("grants.principal_kind", "=", filter.to?.kind ?? "account")
        .where("grants.principal_id", "=", filter.to?.id ?? ""),
    )
    .$if(filter.on !== undefined, (query) =>
      query
        .where("grants.scope_kind", "=", filter.on?.kind ?? "instance")
        .where("grants.scope_id", "=", filter.on?.id ?? ""),
    )
    .where("grants.id", ">", after ?? "")
    .orderBy("grants.id")
    .limit(limit + 1)
    .execute();
  return toPage(rows.map(toShown), limit);
}

/** With the place that it is on, where whoever changes it needs the right to. */
export async function findGrant(
  reader: Reader,
  id: string,
): Promise<
  { readonly grant: GrantShown; readonly place: Exclude<Resource, { readonly kind: "catalog" }> } | undefined
> {
  const row = await shown(reader).where("grants.id", "=", id).executeTakeFirst();
  return row && { grant: toShown(row), place: placeOf(row) };
}

const shown = (reader: Reader) =>
  reader
    .selectFrom("grants")
    .leftJoin("roles", "roles.id", "grants.role")
    .leftJoin("accounts", (join) =>
      join.onRef("accounts.id", "=", "grants.principal_id").on("grants.principal_kind", "=", "account"),
    )
    .leftJoin("teams", (join) =>
      join.onRef("teams.id", "=", "grants.principal_id").on("grants.principal_kind", "=", "team"),
    )
    .leftJoin("robots", (join) =>
      join.onRef("robots.id", "=", "grants.principal_id").on("grants.principal_kind", "=", "robot"),
    )
    .leftJoin("organizations as home", "home.id", "teams.organization_id")
    .leftJoin("organizations as place", (join) =>
      join.onRef("place.id", "=", "grants.scope_id").on("grants.scope_kind", "=", "organization"),
    )
    .leftJoin("namespaces", (join) =>
      join.onRef("namespaces.id", "=", "grants.scope_id").on("grants.scope_kind", "in", ["namespace", "pattern"]),
    )
    .leftJoin("repositories", (join) => join.on("repositories.id", "=", repositoryId))
    .select([
      "grants.id",
      "grants.role",
      "roles.name as role_name",
      "grants.principal_kind",
      "grants.principal_id",
      "accounts.name as account",
      "teams.name as team",
      "robots.name as robot",
      "home.name as home",
      "grants.scope_kind",
      "grants.scope_id",
      "place.name as organization",
      "namespaces.name as namespace",
      "repositories.name as repository",
      "grants.pattern",
      "grants.tag_pattern",
      "grants.networks",
      "grants.expires_at",
    ]);

/** No repository has the id 0. */
const repositoryId = sql<number>`cast(case when grants.scope_kind = 'repository' then grants.scope_id else '0' end as bigint)`;

type Row = Awaited<ReturnType<ReturnType<typeof shown>["executeTakeFirstOrThrow"]>>;

function toShown(row: Row): GrantShown {
  return {
    id: row.id,
    role: row.role_name ?? row.role,
    to: { kind: row.principal_kind, name: nameOfGrantee(row) },
    on: { kind: row.scope_kind, name: nameOfScope(row) },
    ...(row.tag_pattern !== null && { tags: row.tag_pattern }),
    ...(row.networks !== null && { networks: listIn(row.networks) }),
    ...(row.expires_at !== null && { until: row.expires_at }),
  };
}

const nameOfGrantee = ({ account, robot, team, home, principal_id: id }: Row): string =>
  account ?? robot ?? (team === null ? id : `${home ?? ""}/${team}`);

function nameOfScope({ scope_kind: kind, organization, namespace, repository, pattern, scope_id: id }: Row): string {
  if (kind === "instance") return "";
  if (kind === "pattern") return namespace === "" ? (pattern ?? "") : `${namespace ?? id}/${pattern ?? ""}`;
  return kind === "namespace" ? namespaceLabel(namespace ?? id) : (organization ?? repository ?? id);
}

/** What is not there any more is the instance's to take away. */
function placeOf({
  scope_kind: kind,
  scope_id: id,
  namespace,
  repository,
}: Row): Exclude<Resource, { readonly kind: "catalog" }> {
  const name = repository === null ? undefined : parseRepositoryName(repository);
  if (kind === "organization") return { kind, id };
  if (kind === "repository" && name !== undefined) return { kind, name };
  return namespace === null ? { kind: "instance" } : { kind: "namespace", name: namespace };
}
