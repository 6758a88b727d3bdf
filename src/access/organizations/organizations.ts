import { randomUUID } from "node:crypto";
import { parseRepositoryName } from "../../oci/names.ts";
import type { Reader, Writer } from "../../platform/database/database.ts";
import { recordEvents } from "../../platform/events/record-events.ts";
import { type Page, type PageRequest, toPage } from "../../registry/repositories.ts";
import type { AccessChange } from "../change-access.ts";
import { asOwner } from "../held.ts";
import { requireHeld } from "../require-held.ts";
import { requireAccount } from "../require-named.ts";
import { refuse } from "../refusal.ts";
import { requireRevision } from "../require-revision.ts";
import { removeRobotsOf } from "../robots/change-robots.ts";
import { removeNamespacesOf, requireNoRepositories } from "./remove-namespaces.ts";

export interface Organization {
  readonly id: string;
  readonly name: string;
  readonly displayName: string;
  readonly revision: number;
}

export interface NewOrganization {
  readonly name: string;
  readonly displayName?: string;
  /** An account; without one, administrators alone manage it. */
  readonly owner?: string;
  /** Repositories that are in its namespace already become its own; without it they are in the way. */
  readonly takesOver?: boolean;
}

/**
 * With the namespace of its name.
 * @throws RegistryError
 */
export async function createOrganization(change: AccessChange, wanted: NewOrganization): Promise<Organization> {
  const { tx, now } = change;
  const { name } = wanted;
  if (parseRepositoryName(name) === undefined || name.includes("/")) {
    refuse("invalid", "an organization's name is in small letters and digits, with . _ or - between them");
  }
  const organization = { id: randomUUID(), name, displayName: wanted.displayName ?? name, revision: 1 };
  const created_at = now;
  const { id, displayName: display_name } = organization;
  if (wanted.takesOver === true) await requireHeld(change, asOwner.role.permissions, { kind: "namespace", name });
  else await requireNoRepositories(tx, name);
  await requireFreeName(tx, name);
  await tx.insertInto("organizations").values({ id, name, display_name, created_at }).execute();
  await tx
    .insertInto("namespaces")
    .values({
      id: randomUUID(),
      name,
      owner_kind: "organization",
      owner_id: id,
      visibility: "private",
      create_on_push: "developers",
      created_at,
    })
    .execute();
  const owner = wanted.owner === undefined ? undefined : await requireAccount(tx, wanted.owner);
  if (owner !== undefined) {
    const row = { organization_id: id, account_id: owner.id, role: "owner" as const, created_at };
    await tx.insertInto("organization_members").values(row).execute();
  }
  recordEvents(tx, {
    kind: "access-changed",
    action: "organization-created",
    target: { id, name },
    after: { displayName: display_name, ...(owner && { owner: owner.name }) },
  });
  return organization;
}

async function requireFreeName(tx: Writer, name: string): Promise<void> {
  const taken = await tx.selectFrom("namespaces").select("owner_kind").where("name", "=", name).executeTakeFirst();
  if (taken === undefined) return;
  const whose = {
    organization: "an organization",
    account: "an account",
    instance: "the registry",
    above: "the registry",
  };
  refuse("taken", `the namespace ${name} is that of ${whose[taken.owner_kind]}`);
}

export interface NewDisplayName extends Pick<Organization, "id" | "name" | "displayName"> {
  /** The revision that is meant; `undefined`: whichever it is. */
  readonly expected: number | undefined;
}

/** @throws RegistryError */
export async function renameForDisplay({ tx }: AccessChange, change: NewDisplayName): Promise<Organization> {
  const before = await findOrganization(tx, change.name);
  if (before?.id !== change.id) return refuse("unknown", `organization ${change.name}`);
  requireRevision(change.expected, before.revision);
  const revision = before.revision + 1;
  await tx
    .updateTable("organizations")
    .set({ display_name: change.displayName, revision })
    .where("id", "=", change.id)
    .execute();
  recordEvents(tx, {
    kind: "access-changed",
    action: "organization-changed",
    target: { id: change.id, name: change.name },
    before: { displayName: before.displayName },
    after: { displayName: change.displayName },
  });
  return { ...before, displayName: change.displayName, revision };
}

/** With its teams, namespaces and all that was granted on them. @throws RegistryError while it has repositories */
export async function deleteOrganization(
  { tx }: AccessChange,
  { id, name }: Pick<Organization, "id" | "name">,
): Promise<void> {
  await removeNamespacesOf(tx, { kind: "organization", id });
  const teams = tx.selectFrom("teams").select("id").where("organization_id", "=", id);
  await tx.deleteFrom("grants").where("principal_kind", "=", "team").where("principal_id", "in", teams).execute();
  await removeRobotsOf(tx, id);
  await tx.deleteFrom("grants").where("scope_kind", "=", "organization").where("scope_id", "=", id).execute();
  await tx.deleteFrom("team_members").where("team_id", "in", teams).execute();
  await tx.deleteFrom("teams").where("organization_id", "=", id).execute();
  await tx.deleteFrom("organization_members").where("organization_id", "=", id).execute();
  const deleted = await tx.deleteFrom("organizations").where("id", "=", id).returning("id").execute();
  if (deleted.length === 0) refuse("unknown", `organization ${name}`);
  recordEvents(tx, { kind: "access-changed", action: "organization-deleted", target: { id, name } });
}

export async function findOrganization(reader: Reader | Writer, name: string): Promise<Organization | undefined> {
  return reader
    .selectFrom("organizations")
    .select(["id", "name", "display_name as displayName", "revision"])
    .where("name", "=", name)
    .executeTakeFirst();
}

/** By name. @param memberId of an account: those alone that it is a member of */
export async function listOrganizations(
  reader: Reader,
  { after, limit }: PageRequest,
  memberId?: string,
): Promise<Page<Organization>> {
  const rows = await reader
    .selectFrom("organizations")
    .select(["id", "name", "display_name as displayName", "revision"])
    .where("name", ">", after ?? "")
    .$if(memberId !== undefined, (query) =>
      query.where("id", "in", (eb) =>
        eb
          .selectFrom("organization_members")
          .select("organization_id")
          .where("account_id", "=", memberId ?? ""),
      ),
    )
    .orderBy("name")
    .limit(limit + 1)
    .execute();
  return toPage(rows, limit);
}
