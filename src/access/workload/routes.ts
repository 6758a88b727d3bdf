import { fail } from "../../oci/problem.ts";
import type { ListedIssuer } from "../../platform/config/issuer-schema.ts";
import { toTime, usualItems } from "../api/parameters.ts";
import { one } from "../api/removal.ts";
import { type Route, route } from "../api/route.ts";
import type { Changer } from "../change-access.ts";
import { answerPage, changing, type ModelRoutesDeps } from "../organizations/routes.ts";
import type { Verb } from "../permissions.ts";
import { authorizeIn } from "../require-held.ts";
import type { Named } from "../require-named.ts";
import { requireRobot, type Robot } from "../robots/find-robot.ts";
import { permitRobot } from "../robots/permit-robot.ts";
import * as contracts from "./contract.ts";
import type { WorkloadRule } from "./rule.ts";
import { createRule, deleteRule, listRules, requireRule, type RuleOfRobot, unknownRule } from "./rules.ts";
import type { Workload } from "./workload.ts";

export interface WorkloadRoutesDeps extends ModelRoutesDeps {
  /** Of the configuration. */
  readonly listedIssuers: readonly ListedIssuer[];
  readonly workload: Pick<Workload, "tryOut">;
}

export function workloadRoutes(deps: WorkloadRoutesDeps): readonly Route[] {
  const { authorize, database, listedIssuers, workload } = deps;
  const { read } = database;
  const listed = listedIssuers.map(({ url }) => url);
  const robotFor = async (name: string, by: Changer, verb: Verb): Promise<Robot> => {
    const robot = await requireRobot(read, name);
    await permitRobot(authorize, by, { robot, verb });
    return robot;
  };
  /** A rule that somebody may not know of is answered as one that does not exist. */
  const ruleFor = async (id: string, by: Changer, verb: Verb): Promise<RuleOfRobot> => {
    const found = await requireRule(read, id);
    const [seen] = await Promise.allSettled([permitRobot(authorize, by, { robot: found.robot, verb: "read" })]);
    if (seen.status === "rejected") fail(unknownRule);
    await permitRobot(authorize, by, { robot: found.robot, verb });
    return found;
  };
  return [
    route(contracts.listWorkloadRules, async ({ params, query: { after, limit = usualItems }, by }) => {
      const robot = await robotFor(params.robot, by, "read");
      const page = await listRules(read, robot.id, { after, limit });
      return answerPage({ ...page, items: page.items.map((rule) => shown(robot, rule)) }, ({ id }) => id);
    }),
    route(contracts.createWorkloadRule, async (call) => {
      return call.commit(async (tx) => {
        const change = await changing(deps, call)(tx);
        const robot = await requireRobot(tx, call.params.robot);
        await permitRobot(authorizeIn(change), call.by, { robot, verb: "update" });
        return shown(robot, await createRule(change, { robot, trust: call.body, listed }));
      });
    }),
    route(contracts.showWorkloadRule, async ({ params, by }) => {
      const { robot, rule } = await ruleFor(params.rule, by, "read");
      return shown(robot, rule);
    }),
    route(contracts.deleteWorkloadRule, async (call) => {
      const { rule } = await ruleFor(call.params.rule, call.by, "update");
      return call.commit(async (tx) => {
        await deleteRule(await changing(deps, call)(tx), rule.id);
        return { dryRun: call.dryRun, removes: [one("workload rule", rule.id)] };
      });
    }),
    route(contracts.tryWorkloadToken, async ({ params, body, by }) => {
      const { name } = await robotFor(params.robot, by, "read");
      const rules = await workload.tryOut({ name, token: body.token });
      return {
        rules: rules.map(({ checks, ...rule }) => ({
          ...rule,
          checks: checks.map(({ given, ...check }) => ({ ...check, ...(given && { given: [...given] }) })),
        })),
      };
    }),
  ];
}

const shown = ({ name }: Named, { id, issuer, audience, conditions, createdAt }: WorkloadRule) => ({
  id,
  robot: name,
  issuer,
  audience,
  conditions: [...conditions],
  createdAt: toTime(createdAt),
});
