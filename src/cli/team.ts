import type { Command } from "commander";
import {
  addToTeam,
  createTeam,
  deleteTeam,
  listTeamMembers,
  listTeams,
  removeFromTeam,
} from "../access/organizations/teams.ts";
import { requireAccount, requireOrganization, requireTeam } from "../access/require-named.ts";
import { printRow } from "./print-rows.ts";
import { addTeamGroups } from "./team-group.ts";
import { type AccessOptions, everyOne, withAccess, withAccessOptions } from "./with-access.ts";

/** `berth team ...`: teams of an organization; a team is named `organization/team`. */
export function addTeam(program: Command): void {
  const team = program.command("team").description("teams of an organization, named organization/team");
  withAccessOptions(team.command("create <team>"))
    .description("make a team")
    .action((name: string, options: AccessOptions) =>
      withAccess(options, async ({ read, change }) => {
        const [organization = "", short = ""] = name.split("/", 2);
        const found = await requireOrganization(read, organization);
        const { id } = await change((tx) => createTeam(tx, { organization: found, name: short }));
        printRow({ name, id }, options.json);
      }),
    );
  withAccessOptions(team.command("delete <team>"))
    .description("delete a team with what was granted to it")
    .action((name: string, options: AccessOptions) =>
      withAccess(options, async ({ read, change }) => {
        const found = await requireTeam(read, name);
        await change((tx) => deleteTeam(tx, found));
        printRow({ deleted: name }, options.json);
      }),
    );
  withAccessOptions(team.command("list <organization>"))
    .description("list the teams of an organization")
    .action((organization: string, options: AccessOptions) =>
      withAccess(options, async ({ read }) => {
        const { id } = await requireOrganization(read, organization);
        const all = everyOne(
          (page) => listTeams(read, id, page),
          ({ name }) => name,
        );
        for await (const one of all) printRow({ name: `${organization}/${one.name}`, id: one.id }, options.json);
      }),
    );
  addMembers(team);
  addTeamGroups(team);
}

function addMembers(team: Command): void {
  const member = team.command("member").description("members of a team");
  withAccessOptions(member.command("add <team> <account>"))
    .description("put a member of the organization in a team")
    .action((name: string, account: string, options: AccessOptions) =>
      withAccess(options, async ({ read, change }) => {
        const wanted = { team: await requireTeam(read, name), account: await requireAccount(read, account) };
        await change((tx) => addToTeam(tx, wanted));
        printRow({ team: name, account: wanted.account.name }, options.json);
      }),
    );
  withAccessOptions(member.command("remove <team> <account>"))
    .description("take somebody out of a team")
    .action((name: string, account: string, options: AccessOptions) =>
      withAccess(options, async ({ read, change }) => {
        const gone = { team: await requireTeam(read, name), account: await requireAccount(read, account) };
        await change((tx) => removeFromTeam(tx, gone));
        printRow({ removed: gone.account.name }, options.json);
      }),
    );
  withAccessOptions(member.command("list <team>"))
    .description("list the members of a team")
    .action((name: string, options: AccessOptions) =>
      withAccess(options, async ({ read }) => {
        const { id } = await requireTeam(read, name);
        const all = everyOne(
          (page) => listTeamMembers(read, id, page),
          (account) => account,
        );
        for await (const account of all) printRow({ name: account }, options.json);
      }),
    );
}
