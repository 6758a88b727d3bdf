import { randomUUID } from "node:crypto";
import { fail } from "../../oci/problem.ts";
import type { Reader, Writer } from "../../platform/database/database.ts";
import { prepared, type Reading } from "../../platform/database/prepared.ts";
import { recordEvents } from "../../platform/events/record-events.ts";
import { type Page, type PageRequest, toPage } from "../../registry/repositories.ts";
import type { AccessChange } from "../change-access.ts";
import { refuse } from "../refusal.ts";
import { requireAllGrantedTo } from "../require-held.ts";
import type { Named } from "../require-named.ts";
import { type NamedRobot, type Robot, robotOf } from "../robots/find-robot.ts";
import { checkTrust } from "./check-trust.ts";
import { conditionsIn, formatCondition, type Trust, type WorkloadRule } from "./rule.ts";

/** Each of them is looked at for every token that is shown for the robot. */
const mostOfRobot = 20;

interface NewRule {
  readonly robot: NamedRobot;
  readonly trust: Trust;
  /** Issuers of the configuration. */
  readonly listed: readonly string[];
}

/** Whoever shows such a token is the robot from now on: it is for who can do what the robot can. @throws RegistryError */
export async function createRule(change: AccessChange, { robot, trust, listed }: NewRule): Promise<WorkloadRule> {
  const { tx, now } = change;
  checkTrust(trust, listed);
  await requireAllGrantedTo(change, { kind: "robot", ...robot });
  const { issuer, audience, conditions } = trust;
  const others = await tx.selectFrom("workload_rules").select("id").where("robot_id", "=", robot.id).execute();
  if (others.length >= mostOfRobot) refuse("in-the-way", `${robot.name} has ${String(mostOfRobot)} rules, and no more`);
  const id = randomUUID();
  await tx
    .insertInto("workload_rules")
    .values({
      id,
      robot_id: robot.id,
      issuer,
      audience,
      conditions: JSON.stringify(conditions),
      created_at: now,
    })
    .execute();
  const after = told(robot, trust);
  recordEvents(tx, {
    kind: "access-changed",
    action: "workload-rule-created",
    target: { id, name: robot.name },
    after,
  });
  return { id, issuer, audience, conditions, createdAt: now };
}

const told = ({ name }: Named, { issuer, audience, conditions }: Trust) => ({
  robot: name,
  issuer,
  audience,
  conditions: conditions.map(formatCondition),
});

/** What was issued by it is void with the next request. @throws RegistryError */
export async function deleteRule({ tx }: AccessChange, id: string): Promise<void> {
  const { robot, rule } = await requireRule(tx, id);
  await tx.deleteFrom("workload_rules").where("id", "=", id).execute();
  recordEvents(tx, {
    kind: "access-changed",
    action: "workload-rule-deleted",
    target: { id, name: robot.name },
    before: told(robot, rule),
  });
}

export interface RuleOfRobot {
  readonly robot: Robot;
  readonly rule: WorkloadRule;
}

export const unknownRule = { code: "OBJECT_UNKNOWN", what: "workload rule" } as const;

/** @throws RegistryError */
export async function requireRule(reader: Reader | Writer, id: string): Promise<RuleOfRobot> {
  const row = await withRobots(reader).where("workload_rules.id", "=", id).executeTakeFirst();
  return row === undefined ? fail(unknownRule) : { robot: robotOf(row), rule: ruleOf(row) };
}

const withRobots = (reader: Reader | Writer) =>
  reader
    .selectFrom("workload_rules")
    .innerJoin("robots", "robots.id", "workload_rules.robot_id")
    .selectAll("robots")
    .select([
      "workload_rules.id as rule_id",
      "workload_rules.issuer",
      "workload_rules.audience",
      "workload_rules.conditions",
      "workload_rules.created_at as rule_created_at",
    ]);

type Row = Awaited<ReturnType<ReturnType<typeof withRobots>["execute"]>>[number];

const ruleOf = (row: Row): WorkloadRule => ({
  id: row.rule_id,
  issuer: row.issuer,
  audience: row.audience,
  conditions: conditionsIn(row.conditions),
  createdAt: row.rule_created_at,
});

const byRobot = prepared((read, given: { readonly name: string }) =>
  withRobots(read).where("robots.name", "=", given.name).orderBy("workload_rules.id").limit(mostOfRobot),
);
const byId = prepared((read, given: { readonly id: string }) =>
  withRobots(read).where("workload_rules.id", "=", given.id),
);

/** What a robot of that name trusts, each with the robot as it is now. */
export const rulesOfRobot = async (database: Reading, name: string): Promise<readonly RuleOfRobot[]> =>
  (await byRobot(database, { name })).map((row) => ({ robot: robotOf(row), rule: ruleOf(row) }));

/** Whose a token is that was issued by a rule. */
export async function robotOfRule(database: Reading, id: string): Promise<Robot | undefined> {
  const [row] = await byId(database, { id });
  return row && robotOf(row);
}

/** By id. */
export async function listRules(
  reader: Reader,
  robotId: string,
  { after, limit }: PageRequest,
): Promise<Page<WorkloadRule>> {
  const rows = await withRobots(reader)
    .where("workload_rules.robot_id", "=", robotId)
    .where("workload_rules.id", ">", after ?? "")
    .orderBy("workload_rules.id")
    .limit(limit + 1)
    .execute();
  return toPage(rows.map(ruleOf), limit);
}
