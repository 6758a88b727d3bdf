import type { Writer } from "../platform/database/database.ts";
import { refuse } from "./refusal.ts";

/**
 * Nothing may leave the instance without an administrator whose grant has no end and no condition, and whose password is the
 * database's: directories may be away.
 * @param grantId the one grant that the account loses; all of them when absent
 * @throws RegistryError
 */
export async function requireAnotherAdministrator(tx: Writer, accountId: string, grantId?: string): Promise<void> {
  const administrators = await tx
    .selectFrom("grants")
    .innerJoin("accounts", "accounts.id", "grants.principal_id")
    .select(["grants.id", "accounts.id as account"])
    .where("grants.principal_kind", "=", "account")
    .where("grants.role", "=", "administrator")
    .where("grants.scope_kind", "=", "instance")
    .where("grants.scope_id", "=", "")
    .where("grants.networks", "is", null)
    .where("grants.expires_at", "is", null)
    .where("accounts.disabled", "=", 0)
    .where("accounts.suspended", "=", 0)
    .where("accounts.password_hash", "!=", "")
    .execute();
  const loses = ({ id, account }: { readonly id: string; readonly account: string }): boolean =>
    grantId === undefined ? account === accountId : id === grantId;
  if (administrators.some(loses) && administrators.every(loses)) {
    refuse("in-the-way", "it is the last administrator: make another account one first");
  }
}

/** @throws RegistryError where an organization would be left without an owner */
export async function requireOtherOwners(tx: Writer, accountId: string, organizationId?: string): Promise<void> {
  const alone = await tx
    .selectFrom("organization_members as mine")
    .innerJoin("organizations", "organizations.id", "mine.organization_id")
    .select("organizations.name")
    .where("mine.account_id", "=", accountId)
    .where("mine.role", "=", "owner")
    .$if(organizationId !== undefined, (query) => query.where("mine.organization_id", "=", organizationId ?? ""))
    .where(({ not, exists, selectFrom }) =>
      not(
        exists(
          selectFrom("organization_members as other")
            .select("other.account_id")
            .whereRef("other.organization_id", "=", "mine.organization_id")
            .where("other.role", "=", "owner")
            .where("other.account_id", "!=", accountId),
        ),
      ),
    )
    .orderBy("organizations.name")
    .limit(1)
    .executeTakeFirst();
  if (alone !== undefined)
    refuse("in-the-way", `it is the last owner of ${alone.name}: make another account one first`);
}
