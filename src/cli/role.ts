import type { Command } from "commander";
import * as contracts from "../access/grants/contract.ts";
import { allPages } from "./all-pages.ts";
import { printOne, printRow } from "./print.ts";
import { printRemoval } from "./print-removal.ts";
import { type ApiOptions, withApi, withApiOptions } from "./with-api.ts";

/** `berth role ...`: sets of permissions, the built-in ones and others. */
export function addRole(program: Command): void {
  const role = program.command("role").description("roles, each a set of permissions such as repository:read");
  withApiOptions(role.command("list"))
    .description("list the roles with what each allows")
    .action((options: ApiOptions) =>
      withApi(options, async (call) => {
        const all = allPages((after) => call(contracts.listRoles, { query: { limit: "1000", after } }));
        for await (const one of all) {
          if (options.json) printOne(one, true);
          else printRow({ ...one, allows: one.permissions.join(" ") }, ["name", "allows"], false);
        }
      }),
    );
  withApiOptions(role.command("create <name> <permissions...>"))
    .description("make a role of these permissions")
    .action((name: string, permissions: string[], options: ApiOptions) =>
      withApi(options, async (call) => {
        printOne(await call(contracts.createRole, { body: { name, permissions } }), options.json === true);
      }),
    );
  withApiOptions(role.command("change <name> <permissions...>"))
    .description("give a role these permissions in the place of its own, for everyone who has it")
    .action((name: string, permissions: string[], options: ApiOptions) =>
      withApi(options, async (call) => {
        const asked = { params: { role: name }, body: { permissions }, ifMatch: "*" };
        printOne(await call(contracts.changeRole, asked), options.json === true);
      }),
    );
  withApiOptions(role.command("delete <name>"))
    .description("delete a role that nobody has")
    .action((name: string, options: ApiOptions) =>
      withApi(options, async (call) => {
        printRemoval(await call(contracts.deleteRole, { params: { role: name } }), options.json);
      }),
    );
}
