import type { Command } from "commander";
import * as contracts from "../access/sources/contract.ts";
import { printOne, printRow } from "./print.ts";
import { printRemoval } from "./print-removal.ts";
import { type ApiOptions, withApi, withApiOptions } from "./with-api.ts";

interface GroupOptions extends ApiOptions {
  readonly source: string;
}

type PartsOf = (team: string) => { readonly organization: string; readonly team: string };

/** `berth team group ...`: groups of sources of identity whose people are a team's. */
export function addTeamGroups(team: Command, partsOf: PartsOf): void {
  const group = team.command("group").description("groups of a source of identity whose people are a team's");
  withApiOptions(group.command("add <team> <group>"))
    .description("give a team the people of a group: the running server looks for them at once")
    .requiredOption("--source <name>", "the source that has the group")
    .action((text: string, name: string, options: GroupOptions) =>
      withApi(options, async (call) => {
        const body = { source: options.source, group: name };
        printOne(await call(contracts.addTeamGroup, { params: partsOf(text), body }), options.json === true);
      }),
    );
  withApiOptions(group.command("remove <team> <group>"))
    .description("take the people of a group out of a team")
    .requiredOption("--source <name>", "the source that has the group")
    .action((text: string, name: string, options: GroupOptions) =>
      withApi(options, async (call) => {
        const query = { source: options.source, group: name };
        printRemoval(await call(contracts.removeTeamGroup, { params: partsOf(text), query }), options.json);
      }),
    );
  withApiOptions(group.command("list <team>"))
    .description("list the groups of a team")
    .action((text: string, options: ApiOptions) =>
      withApi(options, async (call) => {
        const { items } = await call(contracts.listTeamGroups, { params: partsOf(text) });
        for (const one of items) printRow(one, ["source", "group"], options.json === true);
      }),
    );
}
