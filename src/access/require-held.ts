import type { Writer } from "../platform/database/database.ts";
import { within } from "../platform/database/prepared.ts";
import { type Authorize, authorizer, type Resource } from "./authorize.ts";
import type { AccessChange } from "./change-access.ts";
import { permissionsIn } from "./held.ts";
import { type Permission, subjects, verbs } from "./permissions.ts";
import { refuse } from "./refusal.ts";
import type { Named } from "./require-named.ts";
import { loadRights } from "./rights.ts";
import type { ProtectedVerb } from "./protections/protection.ts";
import { builtInRole, findBuiltInRole, type RankedRole } from "./roles.ts";
import type { GrantedKind, ProtectionRow } from "./tables.ts";

export type HeldPlace = Exclude<Resource, { readonly kind: "catalog" }>;

/** Decides by what is held in this very transaction. */
export const authorizeIn = ({ tx, database, now }: AccessChange): Authorize =>
  authorizer({
    database: within(tx, database),
    revision: async () => 0,
    policy: { mode: "standard" },
    now: () => now,
  }).authorize;

/** What of the permissions whoever makes the change lacks in a place, or has by a right alone that is limited itself. */
async function lackedOf(
  change: AccessChange,
  permissions: ReadonlySet<Permission>,
  place: HeldPlace,
): Promise<Permission | undefined> {
  const { by } = change;
  if (by === "operator") return undefined;
  const authorize = authorizeIn(change);
  for (const subject of subjects) {
    for (const verb of verbs) {
      if (!permissions.has(`${subject}:${verb}`)) continue;
      const { allowed, dependsOn } = await authorize(by, verb, { ...place, subject });
      if (!allowed || dependsOn !== undefined) return `${subject}:${verb}`;
    }
  }
  return undefined;
}

/** Nobody gives what they do not have. @throws RegistryError */
export async function requireHeld(
  change: AccessChange,
  permissions: ReadonlySet<Permission>,
  place: HeldPlace,
): Promise<void> {
  const lacked = await lackedOf(change, permissions, place);
  if (lacked !== undefined)
    refuse("forbidden", `nobody gives more than they have, and you do not have ${lacked} there`);
}

/** Whoever takes rules away that protect tags could do what these keep from them. @throws RegistryError */
export async function requireNothingKept(
  change: AccessChange,
  rules: readonly Pick<ProtectionRow, `${ProtectedVerb}_role`>[],
  place: HeldPlace,
): Promise<void> {
  const roles = new Set(rules.flatMap((rule) => [rule.create_role, rule.update_role, rule.delete_role]));
  for (const role of roles) if (role !== null) await requireHeld(change, permissionsBeside(role), place);
}

/** Of a role, but for what rules like these are about. */
const permissionsBeside = (role: RankedRole): ReadonlySet<Permission> =>
  builtInRole(role).permissions.difference(new Set(["repository:delete"]));

/**
 * Whoever decides how somebody signs in can sign in as them: of who has something on the whole instance, that is for those
 * who have it too.
 * @throws RegistryError
 */
export async function requireAsMuchAs(change: AccessChange, { id, name }: Named): Promise<void> {
  const { tx, database, by } = change;
  if (by === "operator") return;
  const { held } = await loadRights(within(tx, database), { kind: "account", id, name }, { kind: "instance" });
  const theirs = new Set(held.flatMap(({ role }) => [...role.permissions]));
  const lacked = await lackedOf(change, theirs, { kind: "instance" });
  if (lacked !== undefined) refuse("forbidden", `${name} has ${lacked} on the whole registry, and you do not`);
}

/**
 * Whoever can act as a team or robot can do what it was granted, wherever that was: it takes as much on its organization, or
 * on the instance.
 * @throws RegistryError
 */
export async function requireAllGrantedTo(
  change: AccessChange,
  { kind, id, name, organizationId }: Named & { readonly kind: GrantedKind; readonly organizationId?: string },
): Promise<void> {
  if (change.by === "operator") return;
  const theirs = await permissionsGrantedTo(change.tx, kind, id);
  const ofOrganization =
    organizationId === undefined ? undefined : ({ kind: "organization", id: organizationId } as const);
  if (ofOrganization !== undefined && (await lackedOf(change, theirs, ofOrganization)) === undefined) return;
  const lacked = await lackedOf(change, theirs, { kind: "instance" });
  if (lacked !== undefined) refuse("forbidden", `${name} was given ${lacked}, and you do not have that`);
}

async function permissionsGrantedTo(tx: Writer, kind: GrantedKind, id: string): Promise<ReadonlySet<Permission>> {
  const rows = await tx
    .selectFrom("grants")
    .leftJoin("roles", "roles.id", "grants.role")
    .select(["grants.role", "roles.permissions"])
    .distinct()
    .where("principal_kind", "=", kind)
    .where("principal_id", "=", id)
    .execute();
  return new Set(
    rows.flatMap(({ role, permissions }) => [
      ...(findBuiltInRole(role)?.permissions ?? permissionsIn(permissions ?? "[]")),
    ]),
  );
}
