import { randomUUID } from "node:crypto";
import type { JsonObject } from "../../oci/json.ts";
import type { Reader, Writer } from "../../platform/database/database.ts";
import { recordEvents } from "../../platform/events/record-events.ts";
import { permit } from "../api/permit.ts";
import type { AccessChange } from "../change-access.ts";
import { requireAnotherAdministrator } from "../last-one.ts";
import { findNamespace, namespaceLabel } from "../organizations/namespaces.ts";
import { refuse } from "../refusal.ts";
import { authorizeIn, type HeldPlace, requireHeld } from "../require-held.ts";
import { requireAccount, requireOrganization, requireTeam } from "../require-named.ts";
import { requireRobot } from "../robots/find-robot.ts";
import type { GrantedKind, GrantScopeKind } from "../tables.ts";
import { requireRole, type StoredRole } from "./custom-roles.ts";
import {
  type Grantee,
  type GrantScope,
  homeOf,
  namespaceCandidates,
  type NewGrant,
  organizationNamed,
  requireConditions,
  requirePattern,
} from "./grant.ts";

/** Where a grant is stored as being, and where the one who makes it must have all of it. */
interface StoredScope {
  readonly kind: GrantScopeKind;
  readonly id: string;
  readonly pattern: string | null;
  readonly place: HeldPlace;
}

interface StoredGrantee {
  readonly kind: GrantedKind;
  readonly id: string;
}

/**
 * Gives a role on a place. Nobody gives more than they have there themselves, without conditions.
 * @returns its id
 * @throws RegistryError
 */
export async function createGrant(change: AccessChange, wanted: NewGrant): Promise<string> {
  const { tx, now } = change;
  requireConditions(wanted.conditions ?? {}, now);
  const role = await requireRole(tx, wanted.role);
  if (role.permissions.size === 0) refuse("invalid", `the role ${role.name} allows nothing`);
  const scope = await findScope(tx, wanted.on);
  await requireMayGrant(change, scope, wanted.on);
  await requireAtHome(change, wanted);
  const to = await findGrantee(tx, wanted.to);
  await requireHeld(change, role.permissions, scope.place);
  return insertGrant(change, { role, scope, to, wanted });
}

interface Resolved {
  readonly role: StoredRole;
  readonly scope: StoredScope;
  readonly to: StoredGrantee;
}

async function insertGrant(
  { tx, now }: AccessChange,
  { role, scope, to, wanted }: Resolved & { readonly wanted: NewGrant },
): Promise<string> {
  const { tags, networks, until } = wanted.conditions ?? {};
  const id = randomUUID();
  await tx
    .insertInto("grants")
    .values({
      id,
      principal_kind: to.kind,
      principal_id: to.id,
      role: role.id,
      scope_kind: scope.kind,
      scope_id: scope.id,
      pattern: scope.pattern,
      tag_pattern: tags ?? null,
      networks: networks === undefined ? null : JSON.stringify(networks),
      expires_at: until ?? null,
      created_at: now,
    })
    .execute();
  await followAdministrator(tx, { to, role: role.id });
  const target = { id, name: role.name };
  recordEvents(tx, { kind: "access-changed", action: "grant-created", target, after: told(wanted) });
  return id;
}

const told = ({ to, role, on, conditions }: NewGrant): JsonObject => ({
  to: { ...to },
  role,
  on: { ...on },
  ...(conditions && { conditions: { ...conditions } }),
});

/** @throws RegistryError for the last administrator's */
export async function deleteGrant({ tx }: AccessChange, id: string): Promise<void> {
  const grant = await tx.selectFrom("grants").selectAll().where("id", "=", id).executeTakeFirst();
  if (grant === undefined) return refuse("unknown", `grant ${id}`);
  const isAdministrator = grant.role === "administrator" && grant.scope_kind === "instance";
  if (isAdministrator && grant.principal_kind === "account") {
    await requireAnotherAdministrator(tx, grant.principal_id, id);
  }
  await tx.deleteFrom("grants").where("id", "=", id).execute();
  await followAdministrator(tx, { to: { kind: grant.principal_kind, id: grant.principal_id }, role: grant.role });
  const { created_at: _, id: __, ...before } = grant;
  recordEvents(tx, { kind: "access-changed", action: "grant-deleted", target: { id, name: grant.role }, before });
}

/** A server of the version before, beside this one, reads the column. */
async function followAdministrator(
  tx: Writer,
  { to, role }: { readonly to: StoredGrantee; readonly role: string },
): Promise<void> {
  if (to.kind !== "account" || role !== "administrator") return;
  const left = await tx
    .selectFrom("grants")
    .select("id")
    .where("principal_kind", "=", "account")
    .where("principal_id", "=", to.id)
    .where("scope_kind", "=", "instance")
    .where("scope_id", "=", "")
    .where("role", "=", "administrator")
    .where("networks", "is", null)
    .where("expires_at", "is", null)
    .limit(1)
    .execute();
  await tx.updateTable("accounts").set({ administrator: left.length }).where("id", "=", to.id).execute();
}

/** @throws RegistryError, as if there were no such place for who may not know of it */
async function requireMayGrant(change: AccessChange, { place }: StoredScope, on: GrantScope): Promise<void> {
  const unknown = { code: "OBJECT_UNKNOWN", what: unknownScope(on) } as const;
  await permit(authorizeIn(change), change.by, { verb: "create", place, subject: "grant", unknown });
}

/**
 * What is of an organization works there, and elsewhere by those alone who see to all grants. It goes by names: whether
 * another organization has such a team or robot is not told.
 * @throws RegistryError
 */
async function requireAtHome(change: AccessChange, { on, to }: NewGrant): Promise<void> {
  const home = homeOf(to);
  if (change.by === "operator" || home === undefined || home === organizationNamed(on)) return;
  const decision = await authorizeIn(change)(change.by, "create", { kind: "instance", subject: "grant" });
  if (!decision.allowed) refuse("forbidden", "a team or robot of an organization is given roles there");
}

/** By its name. @throws RegistryError */
export async function findGrantee(reader: Reader, to: Grantee): Promise<StoredGrantee> {
  switch (to.kind) {
    case "account":
      return { kind: "account", id: (await requireAccount(reader, to.name)).id };
    case "team":
      return { kind: "team", id: (await requireTeam(reader, to.name)).id };
    case "robot":
      return { kind: "robot", id: (await requireRobot(reader, to.name)).id };
    case "signed-in":
    case "anonymous":
      return { kind: to.kind, id: "" };
    default:
      return to satisfies never;
  }
}

/** By its name. @throws RegistryError */
export async function findScope(reader: Reader, on: GrantScope): Promise<StoredScope> {
  switch (on.kind) {
    case "instance":
      return { kind: "instance", id: "", pattern: null, place: { kind: "instance" } };
    case "organization": {
      const { id } = await requireOrganization(reader, on.name);
      return { kind: "organization", id, pattern: null, place: { kind: "organization", id } };
    }
    case "namespace": {
      const found = (await findNamespace(reader, on.name)) ?? refuse("unknown", unknownScope(on));
      const place = { kind: "namespace", name: on.name } as const;
      return { kind: "namespace", id: found.id, pattern: null, place };
    }
    case "repository": {
      const row = await reader.selectFrom("repositories").select("id").where("name", "=", on.name).executeTakeFirst();
      if (row === undefined) return refuse("unknown", unknownScope(on));
      const place = { kind: "repository", name: on.name } as const;
      return { kind: "repository", id: String(row.id), pattern: null, place };
    }
    case "pattern":
      return resolvePattern(reader, on);
    default:
      return on satisfies never;
  }
}

/** Of a place that there is not, and of one that nobody is to know of. */
function unknownScope(on: GrantScope): string {
  switch (on.kind) {
    case "instance":
      return on.kind;
    case "organization":
      return `organization ${on.name}`;
    case "namespace":
      return `namespace ${namespaceLabel(on.name)}`;
    case "repository":
      return `repository ${on.name}: create it, or grant on a pattern`;
    case "pattern":
      return `namespace that ${on.pattern} begins with: create it first`;
    default:
      return on satisfies never;
  }
}

async function resolvePattern(reader: Reader, on: GrantScope & { readonly kind: "pattern" }): Promise<StoredScope> {
  const { pattern } = on;
  requirePattern(pattern);
  for (const name of namespaceCandidates(pattern)) {
    const found = await findNamespace(reader, name);
    if (found === undefined) continue;
    const rest = name === "" ? pattern : pattern.slice(name.length + 1);
    const place = { kind: "namespace", name } as const;
    // All of a namespace is a grant on the namespace.
    return rest === "**"
      ? { kind: "namespace", id: found.id, pattern: null, place }
      : { kind: "pattern", id: found.id, pattern: rest, place };
  }
  return refuse("unknown", unknownScope(on));
}
