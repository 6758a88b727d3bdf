import type { Command } from "commander";
import { changeRole, createRole, deleteRole, listRoles } from "../access/grants/custom-roles.ts";
import { builtInRole, builtInRoleNames } from "../access/roles.ts";
import { printRow } from "./print-rows.ts";
import { type AccessOptions, everyOne, withAccess, withAccessOptions } from "./with-access.ts";

/** `berth role ...`: sets of permissions, the built-in ones and others. */
export function addRole(program: Command): void {
  const role = program.command("role").description("roles, each a set of permissions such as repository:read");
  withAccessOptions(role.command("list"))
    .description("list the roles with what each allows")
    .action((options: AccessOptions) =>
      withAccess(options, async ({ read }) => {
        for (const name of builtInRoleNames) {
          printRow({ name, permissions: [...builtInRole(name).permissions] }, options.json);
        }
        const all = everyOne(
          (page) => listRoles(read, page),
          ({ name }) => name,
        );
        for await (const { name, permissions } of all) printRow({ name, permissions: [...permissions] }, options.json);
      }),
    );
  withAccessOptions(role.command("create <name> <permissions...>"))
    .description("make a role of these permissions")
    .action((name: string, permissions: readonly string[], options: AccessOptions) =>
      withAccess(options, async ({ change }) => {
        await change((tx) => createRole(tx, { name, permissions }));
        printRow({ name, permissions }, options.json);
      }),
    );
  withAccessOptions(role.command("change <name> <permissions...>"))
    .description("give a role these permissions in the place of its own, for everyone who has it")
    .action((name: string, permissions: readonly string[], options: AccessOptions) =>
      withAccess(options, async ({ change }) => {
        await change((tx) => changeRole(tx, { name, permissions }));
        printRow({ name, permissions }, options.json);
      }),
    );
  withAccessOptions(role.command("delete <name>"))
    .description("delete a role that nobody has")
    .action((name: string, options: AccessOptions) =>
      withAccess(options, async ({ change }) => {
        await change((tx) => deleteRole(tx, name));
        printRow({ deleted: name }, options.json);
      }),
    );
}
