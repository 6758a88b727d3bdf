import type { Reader, Writer } from "../../platform/database/database.ts";
import { recordEvents } from "../../platform/events/record-events.ts";
import type { AccessChange } from "../change-access.ts";
import type { Named } from "../require-named.ts";
import { type InstanceRole, instanceRoles } from "./source.ts";

interface RoleStanding {
  readonly account: Named;
  readonly roles: readonly InstanceRole[];
}

/** Grants of a source are told from those of people by it. */
const grantId = (source: string, role: InstanceRole, accountId: string): string => `${source}:${role}:${accountId}`;

async function rolesHeld(
  reader: Reader | Writer,
  source: string,
  { account }: RoleStanding,
): Promise<readonly InstanceRole[]> {
  const ids = instanceRoles.map((role) => grantId(source, role, account.id));
  const grants = await reader.selectFrom("grants").select("id").where("id", "in", ids).execute();
  const held = new Set(grants.map(({ id }) => id));
  return instanceRoles.filter((role) => held.has(grantId(source, role, account.id)));
}

export const changesRoles = async (reader: Reader, source: string, standing: RoleStanding): Promise<boolean> =>
  (await rolesHeld(reader, source, standing)).join() !==
  instanceRoles.filter((role) => standing.roles.includes(role)).join();

/** What somebody has on the instance by a group is theirs for as long as they are in it. */
export async function syncRoles({ tx, now }: AccessChange, source: string, standing: RoleStanding): Promise<void> {
  const { account, roles } = standing;
  const held = await rolesHeld(tx, source, standing);
  for (const role of instanceRoles) {
    const id = grantId(source, role, account.id);
    const target = { id, name: role };
    const told = { account: account.name, accountId: account.id, source };
    if (roles.includes(role) && !held.includes(role)) {
      await tx
        .insertInto("grants")
        .values(instanceGrant({ id, role, accountId: account.id, now }))
        .execute();
      recordEvents(tx, { kind: "access-changed", action: "grant-created", target, after: told });
    } else if (!roles.includes(role) && held.includes(role)) {
      await tx.deleteFrom("grants").where("id", "=", id).execute();
      recordEvents(tx, { kind: "access-changed", action: "grant-deleted", target, before: told });
    }
  }
}

interface InstanceGrant {
  readonly id: string;
  readonly role: InstanceRole;
  readonly accountId: string;
  readonly now: number;
}

const instanceGrant = ({ id, role, accountId, now }: InstanceGrant) => ({
  id,
  principal_kind: "account" as const,
  principal_id: accountId,
  role,
  scope_kind: "instance" as const,
  scope_id: "",
  pattern: null,
  tag_pattern: null,
  networks: null,
  expires_at: null,
  created_at: now,
});
