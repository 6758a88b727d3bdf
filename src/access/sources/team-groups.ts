import type { Reader } from "../../platform/database/database.ts";
import { recordEvents } from "../../platform/events/record-events.ts";
import type { AccessChange } from "../change-access.ts";
import { refuse } from "../refusal.ts";
import { requireAllGrantedTo } from "../require-held.ts";
import type { NamedTeam } from "../require-named.ts";

/** A group of a source whose members are a team's. */
export interface TeamGroup {
  readonly source: string;
  /** As the source compares it. */
  readonly group: string;
}

/** From the next look at the source on, the team has the group's people. @throws RegistryError */
export async function addTeamGroup(change: AccessChange, team: NamedTeam, wanted: TeamGroup): Promise<void> {
  const { tx, now } = change;
  await requireAllGrantedTo(change, { kind: "team", ...targetOf(team), organizationId: team.organization.id });
  const row = { team_id: team.id, source: wanted.source, group_name: wanted.group, created_at: now };
  const added = await tx
    .insertInto("team_groups")
    .values(row)
    .onConflict((conflict) => conflict.columns(["team_id", "source", "group_name"]).doNothing())
    .returning("team_id")
    .execute();
  if (added.length === 0) refuse("taken", `${teamName(team)} has the people of ${wanted.group} already`);
  recordEvents(tx, { kind: "access-changed", action: "team-changed", target: targetOf(team), after: { ...wanted } });
}

/**
 * Whoever was in the team by it is out: at once where it was the team's only group of its source, else with the next look
 * at the source. @throws RegistryError
 */
export async function removeTeamGroup({ tx }: AccessChange, team: NamedTeam, gone: TeamGroup): Promise<void> {
  const removed = await tx
    .deleteFrom("team_groups")
    .where("team_id", "=", team.id)
    .where("source", "=", gone.source)
    .where("group_name", "=", gone.group)
    .returning("team_id")
    .execute();
  if (removed.length === 0) refuse("unknown", `${teamName(team)} does not have the people of ${gone.group}`);
  const others = await tx
    .selectFrom("team_groups")
    .select("group_name")
    .where("team_id", "=", team.id)
    .where("source", "=", gone.source)
    .limit(1)
    .execute();
  if (others.length === 0) {
    await tx
      .deleteFrom("team_members")
      .where("team_id", "=", team.id)
      .where("account_id", "in", (eb) =>
        eb.selectFrom("account_identities").select("account_id").where("source", "=", gone.source),
      )
      .execute();
  }
  recordEvents(tx, { kind: "access-changed", action: "team-changed", target: targetOf(team), before: { ...gone } });
}

export const listTeamGroups = async (reader: Reader, teamId: string): Promise<readonly TeamGroup[]> =>
  (
    await reader
      .selectFrom("team_groups")
      .select(["source", "group_name"])
      .where("team_id", "=", teamId)
      .orderBy("source")
      .orderBy("group_name")
      .execute()
  ).map(({ source, group_name: group }) => ({ source, group }));

const teamName = ({ name, organization }: NamedTeam): string => `${organization.name}/${name}`;
const targetOf = (team: NamedTeam) => ({ id: team.id, name: teamName(team) });
