import { type Command, Option } from "commander";
import {
  changeNamespace,
  createNamespace,
  deleteNamespace,
  listNamespaces,
  namespaceLabel,
} from "../access/organizations/namespaces.ts";
import type { CreateOnPush } from "../access/tables.ts";
import { visibilities, type Visibility } from "../oci/visibility.ts";
import { printRow } from "./print-rows.ts";
import { type AccessOptions, everyOne, withAccess, withAccessOptions } from "./with-access.ts";

interface RuleOptions extends AccessOptions {
  readonly visibility?: Visibility;
  readonly createOnPush?: CreateOnPush;
}

const whoCreates: readonly CreateOnPush[] = ["project-admins", "developers", "nobody"];

const withRules = (command: Command): Command =>
  withAccessOptions(command)
    .addOption(new Option("--visibility <who>", "of repositories that are made in it").choices(visibilities))
    .addOption(new Option("--create-on-push <who>", "whose pushes make repositories").choices(whoCreates));

/** `berth namespace ...`: what holds for the repositories below a name. */
export function addNamespace(program: Command): void {
  const namespace = program
    .command("namespace")
    .description("beginnings of repositories' names; / is that of names without a slash");
  withRules(namespace.command("create <name>"))
    .description("make a namespace of the instance's, or one below another")
    .action((name: string, { visibility, createOnPush, ...options }: RuleOptions) =>
      withAccess(options, async ({ change }) => {
        const rules = { ...(visibility && { visibility }), ...(createOnPush && { createOnPush }) };
        await change((tx) => createNamespace(tx, { name, ...rules }));
        printRow({ name, ...rules }, options.json);
      }),
    );
  withRules(namespace.command("set <name>"))
    .description("change what holds for repositories that are made from now on")
    .action((label: string, { visibility, createOnPush, ...options }: RuleOptions) =>
      withAccess(options, async ({ change }) => {
        const rules = { ...(visibility && { visibility }), ...(createOnPush && { createOnPush }) };
        await change((tx) => changeNamespace(tx, { name: label === "/" ? "" : label, ...rules }));
        printRow({ name: label, ...rules }, options.json);
      }),
    );
  withAccessOptions(namespace.command("list"))
    .description("list namespaces with their rules")
    .action((options: AccessOptions) =>
      withAccess(options, async ({ read }) => {
        const all = everyOne(
          (page) => listNamespaces(read, page),
          ({ name }) => name,
        );
        for await (const { name, ownerKind, visibility, createOnPush } of all) {
          const row = { name: namespaceLabel(name), owner: ownerKind, visibility, createOnPush };
          printRow(row, options.json);
        }
      }),
    );
  withAccessOptions(namespace.command("delete <name>"))
    .description("delete a namespace with what was granted on it")
    .action((name: string, options: AccessOptions) =>
      withAccess(options, async ({ change }) => {
        await change((tx) => deleteNamespace(tx, name === "/" ? "" : name));
        printRow({ deleted: name }, options.json);
      }),
    );
}
