import { toTime, usualItems } from "../api/parameters.ts";
import { one } from "../api/removal.ts";
import { type Route, route } from "../api/route.ts";
import type { AccessChange } from "../change-access.ts";
import { answerPage, changing, type ModelRoutesDeps } from "../organizations/routes.ts";
import type { Verb } from "../permissions.ts";
import { authorizeIn } from "../require-held.ts";
import { requireOrganization } from "../require-named.ts";
import * as changes from "./change-robots.ts";
import * as contracts from "./contract.ts";
import { listRobots, requireRobot, type Robot } from "./find-robot.ts";
import { permitRobot, permitRobotsOf } from "./permit-robot.ts";

export function robotRoutes(deps: ModelRoutesDeps): readonly Route[] {
  const { authorize, database } = deps;
  const { read } = database;
  return [
    route(contracts.listRobots, async ({ query: { organization, after, limit = usualItems }, by }) => {
      const found = organization === undefined ? undefined : await requireOrganization(read, organization);
      await permitRobotsOf(authorize, by, { organization: found, verb: "read" });
      const page = await listRobots(read, found?.id, { after, limit });
      return answerPage({ ...page, items: page.items.map(shown) }, ({ name }) => name);
    }),
    route(contracts.createRobot, async (call) => {
      const { name, organization, description, until } = call.body;
      const wanted = {
        name,
        ...(description !== undefined && { description }),
        ...(until !== undefined && { expiresAt: Date.parse(until) }),
      };
      return call.commit(async (tx) => {
        const change = await changing(deps, call)(tx);
        const found = organization === undefined ? undefined : await requireOrganization(tx, organization);
        await permitRobotsOf(authorizeIn(change), call.by, { organization: found, verb: "create" });
        const made = await changes.createRobot(change, { ...wanted, ...(found && { organization: found }) });
        return shown(await requireRobot(tx, made.name));
      });
    }),
    route(contracts.showRobot, async ({ params, by }) => {
      const robot = await requireRobot(read, params.robot);
      await permitRobot(authorize, by, { robot, verb: "read" });
      return shown(robot);
    }),
    route(contracts.changeRobot, async (call) => {
      const { description, disabled, until } = call.body;
      const wanted = {
        ...(description !== undefined && { description }),
        ...(disabled !== undefined && { disabled }),
        ...(until !== undefined && { expiresAt: until === null ? null : Date.parse(until) }),
      };
      return call.commit(async (tx) => {
        const change = await changing(deps, call)(tx);
        const { name } = await permitted(change, call.params.robot, "update");
        await changes.changeRobot(change, { name, ...wanted });
        return shown(await requireRobot(tx, name));
      });
    }),
    route(contracts.deleteRobot, async (call) => {
      return call.commit(async (tx) => {
        const change = await changing(deps, call)(tx);
        const { name } = await permitted(change, call.params.robot, "delete");
        await changes.deleteRobot(change, name);
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

/** The robot that a change is about, where it is theirs to make. @throws RegistryError */
async function permitted(change: AccessChange, name: string, verb: Verb): Promise<Robot> {
  const robot = await requireRobot(change.tx, name);
  await permitRobot(authorizeIn(change), change.by, { robot, verb });
  return robot;
}
