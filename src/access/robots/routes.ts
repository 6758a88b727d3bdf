import { toTime, usualItems } from "../api/parameters.ts";
import { one } from "../api/removal.ts";
import { type Route, route } from "../api/route.ts";
import type { Changer } from "../change-access.ts";
import { answerPage, changing, type ModelRoutesDeps } from "../organizations/routes.ts";
import type { Verb } from "../permissions.ts";
import { requireOrganization } from "../require-named.ts";
import * as changes from "./change-robots.ts";
import * as contracts from "./contract.ts";
import { listRobots, requireRobot, type Robot } from "./find-robot.ts";
import { permitRobot } from "./permit-robot.ts";

export function robotRoutes(deps: ModelRoutesDeps): readonly Route[] {
  const { authorize, database } = deps;
  const { read } = database;
  const permitted = async (name: string, by: Changer, verb: Verb): Promise<Robot> => {
    const robot = await requireRobot(read, name);
    await permitRobot(authorize, by, { robot, verb });
    return robot;
  };
  return [
    route(contracts.listRobots, async ({ query: { organization, after, limit = usualItems }, by }) => {
      const found = organization === undefined ? undefined : await requireOrganization(read, organization);
      await permitRobot(authorize, by, { robot: found ? { organizationId: found.id } : {}, verb: "read" });
      const page = await listRobots(read, found?.id, { after, limit });
      return answerPage({ ...page, items: page.items.map(shown) }, ({ name }) => name);
    }),
    route(contracts.createRobot, async (call) => {
      const { name, organization, description, until } = call.body;
      const found = organization === undefined ? undefined : await requireOrganization(read, organization);
      await permitRobot(authorize, call.by, { robot: found ? { organizationId: found.id } : {}, verb: "create" });
      const wanted = {
        name,
        ...(found && { organization: found }),
        ...(description !== undefined && { description }),
        ...(until !== undefined && { expiresAt: Date.parse(until) }),
      };
      return call.commit(async (tx) => {
        const made = await changes.createRobot(await changing(deps, call)(tx), wanted);
        return shown(await requireRobot(tx, made.name));
      });
    }),
    route(contracts.showRobot, async ({ params, by }) => shown(await permitted(params.robot, by, "read"))),
    route(contracts.changeRobot, async (call) => {
      const { name } = await permitted(call.params.robot, call.by, "update");
      const { description, disabled, until } = call.body;
      const wanted = {
        name,
        ...(description !== undefined && { description }),
        ...(disabled !== undefined && { disabled }),
        ...(until !== undefined && { expiresAt: until === null ? null : Date.parse(until) }),
      };
      return call.commit(async (tx) => {
        await changes.changeRobot(await changing(deps, call)(tx), wanted);
        return shown(await requireRobot(tx, name));
      });
    }),
    route(contracts.deleteRobot, async (call) => {
      const { name } = await permitted(call.params.robot, call.by, "delete");
      return call.commit(async (tx) => {
        await changes.deleteRobot(await changing(deps, call)(tx), name);
        return { dryRun: call.dryRun, removes: [one("robot", name)] };
      });
    }),
  ];
}

const shown = ({ id, name, description, disabled, createdAt, expiresAt }: Robot) => ({
  id,
  name,
  description,
  disabled,
  createdAt: toTime(createdAt),
  ...(expiresAt !== undefined && { expiresAt: toTime(expiresAt) }),
});
