import type { Reader } from "../../platform/database/database.ts";
import { recordEvents } from "../../platform/events/record-events.ts";
import { type Page, type PageRequest, toPage } from "../../registry/repositories.ts";
import type { AccessChange } from "../change-access.ts";
import { asOwner } from "../held.ts";
import { requireOtherOwners } from "../last-one.ts";
import { refuse } from "../refusal.ts";
import { requireHeld } from "../require-held.ts";
import type { Named } from "../require-named.ts";
import type { OrganizationRole } from "../tables.ts";

export interface Member {
  readonly name: string;
  readonly role: OrganizationRole;
}

interface Membership {
  readonly organization: Named;
  readonly account: Named;
}

/**
 * Makes the account a member, or gives it the other role.
 * @throws RegistryError for the last owner, and for an owner who is made by somebody that can less
 */
export async function setMember(
  change: AccessChange,
  wanted: Membership & { readonly role: OrganizationRole },
): Promise<void> {
  const { tx, now } = change;
  const { organization, account, role } = wanted;
  const before = await tx
    .selectFrom("organization_members")
    .select("role")
    .where("organization_id", "=", organization.id)
    .where("account_id", "=", account.id)
    .executeTakeFirst();
  if (before?.role === role) return;
  if (before?.role === "owner") await requireOtherOwners(tx, account.id, organization.id);
  if (role === "owner")
    await requireHeld(change, asOwner.role.permissions, { kind: "organization", id: organization.id });
  await tx
    .insertInto("organization_members")
    .values({ organization_id: organization.id, account_id: account.id, role, created_at: now })
    .onConflict((conflict) => conflict.columns(["organization_id", "account_id"]).doUpdateSet({ role }))
    .execute();
  recordEvents(tx, {
    kind: "access-changed",
    action: before === undefined ? "organization-member-added" : "organization-member-changed",
    target: { id: organization.id, name: organization.name },
    ...(before && { before: { account: account.name, role: before.role } }),
    after: { account: account.name, accountId: account.id, role },
  });
}

/** From its teams too. @throws RegistryError for the last owner */
export async function removeMember({ tx }: AccessChange, { organization, account }: Membership): Promise<void> {
  await requireOtherOwners(tx, account.id, organization.id);
  const removed = await tx
    .deleteFrom("organization_members")
    .where("organization_id", "=", organization.id)
    .where("account_id", "=", account.id)
    .returning("role")
    .executeTakeFirst();
  if (removed === undefined) return refuse("unknown", `member of ${organization.name}: ${account.name}`);
  await tx
    .deleteFrom("team_members")
    .where("account_id", "=", account.id)
    .where("team_id", "in", (eb) => eb.selectFrom("teams").select("id").where("organization_id", "=", organization.id))
    .execute();
  recordEvents(tx, {
    kind: "access-changed",
    action: "organization-member-removed",
    target: { id: organization.id, name: organization.name },
    before: { account: account.name, accountId: account.id, role: removed.role },
  });
}

/** By the name of the account. */
export async function listMembers(
  reader: Reader,
  organizationId: string,
  { after, limit }: PageRequest,
): Promise<Page<Member>> {
  const rows = await reader
    .selectFrom("organization_members as member")
    .innerJoin("accounts", "accounts.id", "member.account_id")
    .select(["accounts.name", "member.role"])
    .where("member.organization_id", "=", organizationId)
    .where("accounts.name", ">", after ?? "")
    .orderBy("accounts.name")
    .limit(limit + 1)
    .execute();
  return toPage(rows, limit);
}
