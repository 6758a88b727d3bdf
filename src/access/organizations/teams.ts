import { randomUUID } from "node:crypto";
import { parseRepositoryName } from "../../oci/names.ts";
import type { Reader } from "../../platform/database/database.ts";
import { recordEvents } from "../../platform/events/record-events.ts";
import { type Page, type PageRequest, toPage } from "../../registry/repositories.ts";
import type { AccessChange } from "../change-access.ts";
import { refuse } from "../refusal.ts";
import { requireAllGrantedTo } from "../require-held.ts";
import type { Named, NamedTeam } from "../require-named.ts";

/** @throws RegistryError */
export async function createTeam(
  { tx, now }: AccessChange,
  { organization, name }: { readonly organization: Named; readonly name: string },
): Promise<NamedTeam> {
  if (parseRepositoryName(name) === undefined || name.includes("/")) {
    refuse("invalid", "a team's name is in small letters and digits, with . _ or - between them");
  }
  const team = { id: randomUUID(), name, organization };
  const row = { id: team.id, organization_id: organization.id, name, created_at: now };
  const made = await tx
    .insertInto("teams")
    .values(row)
    .onConflict((conflict) => conflict.columns(["organization_id", "name"]).doNothing())
    .returning("id")
    .execute();
  if (made.length === 0) refuse("taken", `there is a team ${organization.name}/${name}`);
  recordEvents(tx, { kind: "access-changed", action: "team-created", target: targetOf(team) });
  return team;
}

/** With what it was granted. @throws RegistryError */
export async function deleteTeam({ tx }: AccessChange, team: NamedTeam): Promise<void> {
  await tx.deleteFrom("grants").where("principal_kind", "=", "team").where("principal_id", "=", team.id).execute();
  await tx.deleteFrom("team_members").where("team_id", "=", team.id).execute();
  await tx.deleteFrom("team_groups").where("team_id", "=", team.id).execute();
  const deleted = await tx.deleteFrom("teams").where("id", "=", team.id).returning("id").execute();
  if (deleted.length === 0) refuse("unknown", `team ${team.organization.name}/${team.name}`);
  recordEvents(tx, { kind: "access-changed", action: "team-deleted", target: targetOf(team) });
}

interface TeamMembership {
  readonly team: NamedTeam;
  readonly account: Named;
}

/** Members of the organization alone, by who can do what the team can. @throws RegistryError */
export async function addToTeam(change: AccessChange, { team, account }: TeamMembership): Promise<void> {
  const { tx, now } = change;
  await requireAllGrantedTo(change, { kind: "team", ...targetOf(team), organizationId: team.organization.id });
  const isMember = await tx
    .selectFrom("organization_members")
    .select("role")
    .where("organization_id", "=", team.organization.id)
    .where("account_id", "=", account.id)
    .executeTakeFirst();
  if (isMember === undefined) refuse("in-the-way", `${account.name} is no member of ${team.organization.name}`);
  const added = await tx
    .insertInto("team_members")
    .values({ team_id: team.id, account_id: account.id, created_at: now })
    .onConflict((conflict) => conflict.columns(["team_id", "account_id"]).doNothing())
    .returning("team_id")
    .execute();
  if (added.length === 0) return;
  recordEvents(tx, {
    kind: "access-changed",
    action: "team-member-added",
    target: targetOf(team),
    after: { account: account.name, accountId: account.id },
  });
}

/** @throws RegistryError */
export async function removeFromTeam({ tx }: AccessChange, { team, account }: TeamMembership): Promise<void> {
  const removed = await tx
    .deleteFrom("team_members")
    .where("team_id", "=", team.id)
    .where("account_id", "=", account.id)
    .returning("team_id")
    .execute();
  if (removed.length === 0) refuse("unknown", `member of ${team.organization.name}/${team.name}: ${account.name}`);
  recordEvents(tx, {
    kind: "access-changed",
    action: "team-member-removed",
    target: targetOf(team),
    before: { account: account.name, accountId: account.id },
  });
}

const targetOf = ({ id, name, organization }: NamedTeam) => ({ id, name: `${organization.name}/${name}` });

/** By name. */
export async function listTeams(
  reader: Reader,
  organizationId: string,
  { after, limit }: PageRequest,
): Promise<Page<Named>> {
  const rows = await reader
    .selectFrom("teams")
    .select(["id", "name"])
    .where("organization_id", "=", organizationId)
    .where("name", ">", after ?? "")
    .orderBy("name")
    .limit(limit + 1)
    .execute();
  return toPage(rows, limit);
}

/** Names of accounts. */
export async function listTeamMembers(
  reader: Reader,
  teamId: string,
  { after, limit }: PageRequest,
): Promise<Page<string>> {
  const rows = await reader
    .selectFrom("team_members as member")
    .innerJoin("accounts", "accounts.id", "member.account_id")
    .select("accounts.name")
    .where("member.team_id", "=", teamId)
    .where("accounts.name", ">", after ?? "")
    .orderBy("accounts.name")
    .limit(limit + 1)
    .execute();
  return toPage(
    rows.map(({ name }) => name),
    limit,
  );
}
