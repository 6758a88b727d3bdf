import type { Command } from "commander";
import { requireOrganization } from "../access/require-named.ts";
import { changeRobot, createRobot, deleteRobot } from "../access/robots/change-robots.ts";
import { listRobots, type Robot } from "../access/robots/find-robot.ts";
import { createToken } from "../access/tokens/change-tokens.ts";
import { printRow } from "./print-rows.ts";
import { readTime } from "./read-time.ts";
import { type AccessOptions, everyOne, withAccess, withAccessOptions } from "./with-access.ts";

interface OrgOptions extends AccessOptions {
  readonly org?: string;
}

interface CreateOptions extends OrgOptions {
  readonly description?: string;
  readonly until?: string;
  /** `--no-secret` */
  readonly secret: boolean;
}

/** `berth robot ...`: what programs sign in as. */
export function addRobot(program: Command): void {
  const robot = program.command("robot").description("what programs sign in as");
  withAccessOptions(robot.command("create <name>"))
    .description("make a robot and a secret, which is shown this once; `berth grant add --robot` gives it rights")
    .option("--org <name>", "of this organization, with which it goes; without it, of the whole registry")
    .option("--description <text>", "what it is for")
    .option("--until <time>", "only until then, such as 2027-01-31T12:00Z")
    .option("--no-secret", "without a secret")
    .action((name: string, { org, description, until, secret, ...options }: CreateOptions) =>
      withAccess(options, async ({ change, tokenLimits }) => {
        const made = await change(async (tx) => {
          const created = await createRobot(tx, {
            name,
            ...(org !== undefined && { organization: await requireOrganization(tx.tx, org) }),
            ...(description !== undefined && { description }),
            ...(until !== undefined && { expiresAt: readTime(until) }),
          });
          const owner = { kind: "robot", id: created.id, name: created.name } as const;
          const token = secret ? await createToken(tx, tokenLimits, { owner, name: "first" }) : undefined;
          return { ...created, token };
        });
        printRow({ name: made.name, ...(made.token && { secret: made.token.text }) }, options.json);
      }),
    );
  withAccessOptions(robot.command("list"))
    .description("list robots")
    .option("--org <name>", "of this organization")
    .action(({ org, ...options }: OrgOptions) =>
      withAccess(options, async ({ read }) => {
        const organizationId = org === undefined ? undefined : (await requireOrganization(read, org)).id;
        const all = everyOne(
          (page) => listRobots(read, organizationId, page),
          ({ name }) => name,
        );
        for await (const one of all) printRow(rowOf(one), options.json);
      }),
    );
  for (const [verb, disabled] of [
    ["disable", true],
    ["enable", false],
  ] as const) {
    withAccessOptions(robot.command(`${verb} <name>`))
      .description(`${verb} a robot and all of its secrets`)
      .action((name: string, options: AccessOptions) =>
        withAccess(options, async ({ change }) => {
          await change((tx) => changeRobot(tx, { name, disabled }));
          printRow({ name, state: disabled ? "disabled" : "active" }, options.json);
        }),
      );
  }
  withAccessOptions(robot.command("delete <name>"))
    .description("delete a robot with its secrets and grants")
    .action((name: string, options: AccessOptions) =>
      withAccess(options, async ({ change }) => {
        await change((tx) => deleteRobot(tx, name));
        printRow({ deleted: name }, options.json);
      }),
    );
}

const rowOf = ({ name, description, disabled, expiresAt }: Robot) => ({
  name,
  description,
  state: disabled ? "disabled" : "active",
  ...(expiresAt !== undefined && { expiresAt: new Date(expiresAt).toISOString() }),
});
