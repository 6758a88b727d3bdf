import type { Reader, Writer } from "../../platform/database/database.ts";
import type { AccessChange } from "../change-access.ts";
import { removeMember, setMember } from "../organizations/members.ts";
import { addToTeam, removeFromTeam } from "../organizations/teams.ts";
import type { Named, NamedTeam } from "../require-named.ts";
import type { InstanceRole } from "./source.ts";
import { changesRoles, syncRoles } from "./sync-roles.ts";

/** What a source has just told of somebody who has an account. */
export interface Standing {
  readonly account: Named;
  readonly groups: readonly string[];
  readonly roles: readonly InstanceRole[];
}

interface TeamChanges {
  readonly joins: readonly string[];
  readonly leaves: readonly string[];
}

/**
 * The teams that somebody has to be put in and taken out of, so that of the teams that groups of the source are for they
 * are in exactly those whose groups they are in: whoever has added them by hand, and whatever they were in before.
 */
async function teamChanges(
  reader: Reader | Writer,
  source: string,
  { account, groups }: Standing,
): Promise<TeamChanges> {
  const mapped = await reader
    .selectFrom("team_groups")
    .select(["team_id", "group_name"])
    .where("source", "=", source)
    .execute();
  if (mapped.length === 0) return { joins: [], leaves: [] };
  const current = await reader
    .selectFrom("team_members")
    .select("team_id")
    .where("account_id", "=", account.id)
    .where("team_id", "in", (eb) => eb.selectFrom("team_groups").select("team_id").where("source", "=", source))
    .execute();
  const has = new Set(current.map(({ team_id }) => team_id));
  const isIn = new Set(groups);
  const wanted = new Set(mapped.filter(({ group_name }) => isIn.has(group_name)).map(({ team_id }) => team_id));
  return {
    joins: [...wanted].filter((team) => !has.has(team)),
    leaves: [...has].filter((team) => !wanted.has(team)),
  };
}

/** Whether what a source has told changes what anybody may do. */
export async function changesStanding(
  reader: Reader,
  source: string,
  standings: readonly Standing[],
): Promise<boolean> {
  for (const standing of standings) {
    const { joins, leaves } = await teamChanges(reader, source, standing);
    if (joins.length + leaves.length > 0 || (await changesRoles(reader, source, standing))) return true;
  }
  return false;
}

/** Replaces what somebody is in by what their source says now; nothing is ever added to what they had. */
export async function syncStanding(change: AccessChange, source: string, standing: Standing): Promise<void> {
  const { tx, now } = change;
  await syncRoles(change, source, standing);
  const { account } = standing;
  const { joins, leaves } = await teamChanges(tx, source, standing);
  for (const id of leaves) {
    const team = await findTeam(tx, id);
    if (team === undefined) continue;
    await removeFromTeam(change, { team, account });
    await leaveOrganization(change, team.organization, account);
  }
  for (const id of joins) {
    const team = await findTeam(tx, id);
    if (team === undefined) continue;
    const { organization } = team;
    if ((await roleIn(tx, organization, account)) === undefined) {
      await setMember(change, { organization, account, role: "member" });
      const row = { organization_id: organization.id, account_id: account.id, created_at: now };
      await tx
        .insertInto("synced_members")
        .values(row)
        .onConflict((conflict) => conflict.columns(["organization_id", "account_id"]).doNothing())
        .execute();
    }
    await addToTeam(change, { team, account });
  }
}

/** Whoever is a member by a group alone is none without one. */
async function leaveOrganization(change: AccessChange, organization: Named, account: Named): Promise<void> {
  const { tx } = change;
  const otherTeam = await tx
    .selectFrom("team_members")
    .innerJoin("teams", "teams.id", "team_members.team_id")
    .select("teams.id")
    .where("teams.organization_id", "=", organization.id)
    .where("team_members.account_id", "=", account.id)
    .limit(1)
    .executeTakeFirst();
  if (otherTeam !== undefined || (await roleIn(tx, organization, account)) !== "member") return;
  const synced = await tx
    .deleteFrom("synced_members")
    .where("organization_id", "=", organization.id)
    .where("account_id", "=", account.id)
    .returning("account_id")
    .execute();
  if (synced.length > 0) await removeMember(change, { organization, account });
}

const roleIn = async (tx: Writer, organization: Named, account: Named) =>
  (
    await tx
      .selectFrom("organization_members")
      .select("role")
      .where("organization_id", "=", organization.id)
      .where("account_id", "=", account.id)
      .executeTakeFirst()
  )?.role;

async function findTeam(tx: Writer, id: string): Promise<NamedTeam | undefined> {
  const row = await tx
    .selectFrom("teams")
    .innerJoin("organizations", "organizations.id", "teams.organization_id")
    .select([
      "teams.id",
      "teams.name",
      "organizations.id as organization_id",
      "organizations.name as organization_name",
    ])
    .where("teams.id", "=", id)
    .executeTakeFirst();
  if (row === undefined) return undefined;
  return { id, name: row.name, organization: { id: row.organization_id, name: row.organization_name } };
}
