import type { Command } from "commander";
import { requireTeam } from "../access/require-named.ts";
import { addTeamGroup, listTeamGroups, removeTeamGroup, type TeamGroup } from "../access/sources/team-groups.ts";
import { requestJob } from "../platform/jobs/job-queue.ts";
import { printRow } from "./print-rows.ts";
import { readSettings } from "./settings.ts";
import { StartError } from "./start-error.ts";
import { type AccessOptions, withAccess, withAccessOptions } from "./with-access.ts";

interface GroupOptions extends AccessOptions {
  readonly source: string;
}

/** `berth team group ...`: groups of a source of identity whose people are a team's. */
export function addTeamGroups(team: Command): void {
  const group = team.command("group").description("groups of a source of identity whose people are a team's");
  withAccessOptions(group.command("add <team> <group>"))
    .description("give a team the people of a group: the running server looks for them at once")
    .requiredOption("--source <name>", "the source that has the group")
    .action(async (name: string, text: string, options: GroupOptions) => {
      const wanted = await groupOf(options, text);
      await withAccess(options, async ({ read, change }) => {
        const found = await requireTeam(read, name);
        await change(async (doing) => {
          await addTeamGroup(doing, found, wanted);
          await requestJob(doing.tx, doing.database, "sources");
        });
        printRow({ team: name, ...wanted }, options.json);
      });
    });
  withAccessOptions(group.command("remove <team> <group>"))
    .description("take the people of a group out of a team")
    .requiredOption("--source <name>", "the source that has the group")
    .action(async (name: string, text: string, options: GroupOptions) => {
      const gone = await groupOf(options, text);
      await withAccess(options, async ({ read, change }) => {
        const found = await requireTeam(read, name);
        await change(async (doing) => {
          await removeTeamGroup(doing, found, gone);
          await requestJob(doing.tx, doing.database, "sources");
        });
        printRow({ team: name, removed: gone.group }, options.json);
      });
    });
  withAccessOptions(group.command("list <team>"))
    .description("list the groups of a team")
    .action((name: string, options: AccessOptions) =>
      withAccess(options, async ({ read }) => {
        const { id } = await requireTeam(read, name);
        for (const one of await listTeamGroups(read, id)) printRow({ ...one }, options.json);
      }),
    );
}

/** In the spelling under which the source's groups are compared. @throws StartError */
async function groupOf(options: GroupOptions, text: string): Promise<TeamGroup> {
  const { source } = options;
  const settings = readSettings(options).config.access.sources?.find(({ name }) => name === source);
  if (settings === undefined) throw new StartError(`there is no source ${source} in access.sources`);
  const { sourceOf } = await import("../access/sources/source-of.ts");
  const group = sourceOf(settings).groupName(text);
  if (group === undefined) throw new StartError(`${text} is no name of a group: a directory has DNs`);
  return { source, group };
}
