import { randomUUID } from "node:crypto";
import type { Reader, Writer } from "../../platform/database/database.ts";
import { recordEvents } from "../../platform/events/record-events.ts";
import { type Page, type PageRequest, toPage } from "../../registry/repositories.ts";
import type { AccessChange } from "../change-access.ts";
import { permissionsIn } from "../held.ts";
import { parsePermission, type Permission } from "../permissions.ts";
import { refuse } from "../refusal.ts";
import { requireHeld } from "../require-held.ts";
import { requireRevision } from "../require-revision.ts";
import { findBuiltInRole, type Role, roleOf } from "../roles.ts";

export interface StoredRole extends Role {
  /** Of a built-in role, its name. */
  readonly id: string;
  /** 0 of a built-in role. */
  readonly revision: number;
}

const roleName = /^[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?$/;

/** A named set of permissions, which gives nobody anything by itself. @throws RegistryError */
export async function createRole(
  { tx, now }: AccessChange,
  { name, permissions }: { readonly name: string; readonly permissions: readonly string[] },
): Promise<StoredRole> {
  if (!roleName.test(name)) refuse("invalid", "a role's name is in small letters and digits, with - between them");
  if (findBuiltInRole(name) !== undefined) refuse("taken", `${name} is a built-in role`);
  const parsed = parsePermissions(permissions);
  const id = randomUUID();
  const made = await tx
    .insertInto("roles")
    .values({ id, name, permissions: JSON.stringify(parsed), created_at: now })
    .onConflict((conflict) => conflict.column("name").doNothing())
    .returning("id")
    .execute();
  if (made.length === 0) refuse("taken", `there is a role ${name}`);
  const target = { id, name };
  recordEvents(tx, { kind: "access-changed", action: "role-created", target, after: { permissions: parsed } });
  return { ...roleOf(name, new Set(parsed)), id, revision: 1 };
}

interface RoleChange {
  readonly name: string;
  readonly permissions: readonly string[];
  /** The revision that is meant; `undefined`: whichever it is. */
  readonly expected?: number | undefined;
}

/** Counts for everyone who has the role, wherever that is: nobody adds to it what they do not have. @throws RegistryError */
export async function changeRole(
  change: AccessChange,
  { name, permissions, expected }: RoleChange,
): Promise<StoredRole> {
  const { tx } = change;
  const parsed = parsePermissions(permissions);
  const before = await requireCustomRole(tx, name);
  requireRevision(expected, before.revision);
  await requireHeld(change, new Set(parsed).difference(before.permissions), { kind: "instance" });
  const revision = before.revision + 1;
  await tx
    .updateTable("roles")
    .set({ permissions: JSON.stringify(parsed), revision })
    .where("id", "=", before.id)
    .execute();
  recordEvents(tx, {
    kind: "access-changed",
    action: "role-changed",
    target: { id: before.id, name },
    before: { permissions: [...before.permissions] },
    after: { permissions: parsed },
  });
  return { ...roleOf(name, new Set(parsed)), id: before.id, revision };
}

/** @throws RegistryError while anyone has it */
export async function deleteRole({ tx }: AccessChange, name: string): Promise<void> {
  const { id, permissions } = await requireCustomRole(tx, name);
  const granted = await tx.selectFrom("grants").select("id").where("role", "=", id).limit(1).executeTakeFirst();
  if (granted !== undefined) refuse("in-the-way", `the role ${name} is granted, for one by ${granted.id}`);
  await tx.deleteFrom("roles").where("id", "=", id).execute();
  recordEvents(tx, {
    kind: "access-changed",
    action: "role-deleted",
    target: { id, name },
    before: { permissions: [...permissions] },
  });
}

const parsePermissions = (texts: readonly string[]): readonly Permission[] =>
  [...new Set(texts)].map(
    (text) => parsePermission(text) ?? refuse("invalid", `${text} is no permission: one is subject:verb`),
  );

async function requireCustomRole(tx: Writer, name: string): Promise<StoredRole> {
  if (findBuiltInRole(name) !== undefined) refuse("invalid", `${name} is a built-in role, which nobody changes`);
  return requireRole(tx, name);
}

/** Built in or not. @throws RegistryError */
export async function requireRole(reader: Reader | Writer, name: string): Promise<StoredRole> {
  const builtIn = findBuiltInRole(name);
  if (builtIn !== undefined) return { ...builtIn, id: name, revision: 0 };
  const row = await reader.selectFrom("roles").selectAll().where("name", "=", name).executeTakeFirst();
  if (row === undefined) return refuse("unknown", `role ${name}`);
  return storedRole(row);
}

const storedRole = (
  row: { readonly [K in "id" | "name" | "permissions"]: string } & { readonly revision: number },
) => ({
  ...roleOf(row.name, permissionsIn(row.permissions)),
  id: row.id,
  revision: row.revision,
});

/** Those that are not built in, by name. */
export async function listRoles(reader: Reader, { after, limit }: PageRequest): Promise<Page<StoredRole>> {
  const rows = await reader
    .selectFrom("roles")
    .selectAll()
    .where("name", ">", after ?? "")
    .orderBy("name")
    .limit(limit + 1)
    .execute();
  return toPage(rows.map(storedRole), limit);
}
