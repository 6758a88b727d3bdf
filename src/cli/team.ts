import type { Command } from "commander";
import * as contracts from "../access/organizations/contract.ts";
import { allPages } from "./all-pages.ts";
import { printOne, printRow } from "./print.ts";
import { printRemoval } from "./print-removal.ts";
import { StartError } from "./start-error.ts";
import { addTeamGroups } from "./team-group.ts";
import { type ApiOptions, withApi, withApiOptions } from "./with-api.ts";

/** `berth team ...`: teams of an organization; a team is named `organization/team`. */
export function addTeam(program: Command): void {
  const team = program.command("team").description("teams of an organization, named organization/team");
  withApiOptions(team.command("create <team>"))
    .description("make a team")
    .action((text: string, options: ApiOptions) =>
      withApi(options, async (call) => {
        const { organization, team: name } = partsOf(text);
        const { id } = await call(contracts.createTeam, { params: { organization }, body: { name } });
        printOne({ id, name: text }, options.json === true);
      }),
    );
  withApiOptions(team.command("delete <team>"))
    .description("delete a team with what was granted to it")
    .action((text: string, options: ApiOptions) =>
      withApi(options, async (call) => {
        printRemoval(await call(contracts.deleteTeam, { params: partsOf(text) }), options.json);
      }),
    );
  withApiOptions(team.command("list <organization>"))
    .description("list the teams of an organization")
    .action((organization: string, options: ApiOptions) =>
      withApi(options, async (call) => {
        const of = { params: { organization } };
        const all = allPages((after) => call(contracts.listTeams, { ...of, query: { limit: "1000", after } }));
        for await (const { id, name } of all) {
          printRow({ id, name: `${organization}/${name}` }, ["name", "id"], options.json === true);
        }
      }),
    );
  addMembers(team);
  addTeamGroups(team, partsOf);
}

function addMembers(team: Command): void {
  const member = team.command("member").description("members of a team");
  withApiOptions(member.command("add <team> <account>"))
    .description("put a member of the organization in a team")
    .action((text: string, account: string, options: ApiOptions) =>
      withApi(options, async (call) => {
        await call(contracts.addToTeam, { params: { ...partsOf(text), account } });
        printOne({ team: text, account }, options.json === true);
      }),
    );
  withApiOptions(member.command("remove <team> <account>"))
    .description("take somebody out of a team")
    .action((text: string, account: string, options: ApiOptions) =>
      withApi(options, async (call) => {
        printRemoval(await call(contracts.removeFromTeam, { params: { ...partsOf(text), account } }), options.json);
      }),
    );
  withApiOptions(member.command("list <team>"))
    .description("list the members of a team")
    .action((text: string, options: ApiOptions) =>
      withApi(options, async (call) => {
        const of = { params: partsOf(text) };
        const all = allPages((after) => call(contracts.listTeamMembers, { ...of, query: { limit: "1000", after } }));
        for await (const one of all) printRow(one, ["name"], options.json === true);
      }),
    );
}

function partsOf(text: string): { readonly organization: string; readonly team: string } {
  const [organization = "", team = "", ...more] = text.split("/");
  if (organization === "" || team === "" || more.length > 0) throw new StartError("a team is named organization/team");
  return { organization, team };
}
