import type { Command } from "commander";
import * as contracts from "../access/robots/contract.ts";
import { createToken } from "../access/tokens/contract.ts";
import { allPages } from "./all-pages.ts";
import { printOne, printRow } from "./print.ts";
import { printRemoval } from "./print-removal.ts";
import { type ApiOptions, withApi, withApiOptions } from "./with-api.ts";

interface OrgOptions extends ApiOptions {
  readonly org?: string;
}

interface CreateOptions extends OrgOptions {
  readonly description?: string;
  readonly until?: string;
  /** `--no-secret` */
  readonly secret: boolean;
}

interface DeleteOptions extends ApiOptions {
  readonly dryRun?: true;
}

/** `berth robot ...`: what programs sign in as. */
export function addRobot(program: Command): void {
  const robot = program.command("robot").description("what programs sign in as");
  withApiOptions(robot.command("create <name>"))
    .description("make a robot and a secret, which is shown this once; `berth grant add --robot` gives it rights")
    .option("--org <name>", "of this organization, with which it goes; without it, of the whole registry")
    .option("--description <text>", "what it is for")
    .option("--until <time>", "only until then, such as 2027-01-31T12:00:00Z")
    .option("--no-secret", "without a secret")
    .action((given: string, { org: organization, description, until, secret, ...options }: CreateOptions) =>
      withApi(options, async (call) => {
        const { name } = await call(contracts.createRobot, { body: { name: given, organization, description, until } });
        const made = secret ? await call(createToken, { body: { robot: name, name: "first" } }) : undefined;
        printOne({ name, ...(made && { secret: made.token, secretExpiresAt: made.expiresAt }) }, options.json === true);
      }),
    );
  withApiOptions(robot.command("list"))
    .description("list robots")
    .option("--org <name>", "of this organization")
    .action(({ org: organization, ...options }: OrgOptions) =>
      withApi(options, async (call) => {
        const query = { organization, limit: "1000" };
        const all = allPages((after) => call(contracts.listRobots, { query: { ...query, after } }));
        for await (const one of all) {
          if (options.json) printOne(one, true);
          else
            printRow(
              { ...one, state: one.disabled ? "disabled" : "" },
              ["name", "description", "state", "expiresAt"],
              false,
            );
        }
      }),
    );
  for (const [verb, disabled] of [
    ["disable", true],
    ["enable", false],
  ] as const) {
    withApiOptions(robot.command(`${verb} <name>`))
      .description(`${verb} a robot with all of its secrets`)
      .action((name: string, options: ApiOptions) =>
        withApi(options, async (call) => {
          const asked = { params: { robot: name }, body: { disabled } };
          printOne(await call(contracts.changeRobot, asked), options.json === true);
        }),
      );
  }
  withApiOptions(robot.command("delete <name>"))
    .description("delete a robot with its secrets and grants")
    .option("--dry-run", "only tell what would be removed")
    .action((name: string, { dryRun, ...options }: DeleteOptions) =>
      withApi(options, async (call) => {
        const asked = { params: { robot: name }, dryRun: dryRun === true };
        printRemoval(await call(contracts.deleteRobot, asked), options.json);
      }),
    );
}
