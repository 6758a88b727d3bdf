import type { SourceSettings } from "../../platform/config/sources-schema.ts";
import { requestJob } from "../../platform/jobs/job-queue.ts";
import { one } from "../api/removal.ts";
import { type Route, route } from "../api/route.ts";
import { changing, type ModelRoutesDeps } from "../organizations/routes.ts";
import { refuse } from "../refusal.ts";
import { requireTeam } from "../require-named.ts";
import * as contracts from "./contract.ts";
import { sourcesJobName } from "./sources-job.ts";
import { addTeamGroup, listTeamGroups, removeTeamGroup, type TeamGroup } from "./team-groups.ts";

export interface SourceRoutesDeps extends ModelRoutesDeps {
  readonly sourceSettings: readonly SourceSettings[];
}

/** Which groups of sources teams are made of. */
export function sourceRoutes(deps: SourceRoutesDeps): readonly Route[] {
  const { database, sourceSettings } = deps;
  const teamIn = ({ organization, team }: { readonly organization: string; readonly team: string }) =>
    requireTeam(database.read, `${organization}/${team}`);
  return [
    route(contracts.listTeamGroups, async ({ params }) => ({
      items: [...(await listTeamGroups(database.read, (await teamIn(params)).id))],
    })),
    route(contracts.addTeamGroup, async (call) => {
      const [team, wanted] = [await teamIn(call.params), await groupNamed(sourceSettings, call.body)];
      return call.commit(async (tx) => {
        await addTeamGroup(await changing(deps, call)(tx), team, wanted);
        await requestJob(tx, database, sourcesJobName);
        return wanted;
      });
    }),
    route(contracts.removeTeamGroup, async (call) => {
      const [team, gone] = [await teamIn(call.params), await groupNamed(sourceSettings, call.query)];
      return call.commit(async (tx) => {
        await removeTeamGroup(await changing(deps, call)(tx), team, gone);
        await requestJob(tx, database, sourcesJobName);
        return { dryRun: call.dryRun, removes: [one("group", gone.group)] };
      });
    }),
  ];
}

/** In the spelling under which the source's groups are compared; of a source that is gone, as it stands. */
async function groupNamed(all: readonly SourceSettings[], { source, group: text }: TeamGroup): Promise<TeamGroup> {
  const settings = all.find(({ name }) => name === source);
  if (settings === undefined) return refuse("unknown", `there is no source ${source} in access.sources`);
  const { sourceOf } = await import("./source-of.ts");
  const group = sourceOf(settings).groupName(text);
  return group === undefined
    ? refuse("invalid", `${text} is no name of a group: a directory has DNs`)
    : { source, group };
}
