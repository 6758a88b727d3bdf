import { type Command, Option } from "commander";
import * as contracts from "../access/organizations/contract.ts";
import { namespaceLabel } from "../access/organizations/namespaces.ts";
import type { CreateOnPush } from "../access/tables.ts";
import { visibilities, type Visibility } from "../oci/visibility.ts";
import { allPages } from "./all-pages.ts";
import { eachOne, labelsIn } from "./label-changes.ts";
import { printOne, printRow } from "./print.ts";
import { printRemoval } from "./print-removal.ts";
import { type ApiOptions, withApi, withApiOptions } from "./with-api.ts";

interface RuleOptions extends ApiOptions {
  readonly visibility?: Visibility;
  readonly createOnPush?: CreateOnPush;
  /** `false`: none is said. */
  readonly description?: string | false;
  readonly label?: readonly string[] | false;
}

const whoCreates: readonly CreateOnPush[] = ["project-admins", "developers", "nobody"];

const withRules = (command: Command): Command =>
  withApiOptions(command)
    .addOption(new Option("--visibility <who>", "of repositories that are made in it").choices(visibilities))
    .addOption(new Option("--create-on-push <who>", "whose pushes make repositories").choices(whoCreates))
    .option("--description <markdown>", "what people read of repositories that are made in it")
    .option("--no-description", "as the namespace above says")
    .option("--label <key=value>", "of repositories that are made in it; once for each label", eachOne)
    .option("--no-label", "as the namespace above says");

/** What is said of a rule; `null` takes it back. */
const rulesIn = ({ visibility, createOnPush, description, label }: RuleOptions) => ({
  visibility,
  createOnPush,
  ...((description !== undefined || label !== undefined) && {
    template: {
      description: description === false ? null : description,
      labels: label === false ? null : label && labelsIn(label),
    },
  }),
});

/** `berth namespace ...`: what holds for the repositories below a name. */
export function addNamespace(program: Command): void {
  const namespace = program
    .command("namespace")
    .description("beginnings of repositories' names; / is that of names without a slash");
  withRules(namespace.command("create <name>"))
    .description("make a namespace of the instance's, or one below another")
    .action((name: string, options: RuleOptions) =>
      withApi(options, async (call) => {
        const body = { name, ...rulesIn(options) };
        printOne(await call(contracts.createNamespace, { body }), options.json === true);
      }),
    );
  withRules(namespace.command("set <name>"))
    .description("change what holds for repositories that are made from now on")
    .action((label: string, options: RuleOptions) =>
      withApi(options, async (call) => {
        const asked = { params: { namespace: label }, body: rulesIn(options), ifMatch: "*" };
        printOne(await call(contracts.changeNamespace, asked), options.json === true);
      }),
    );
  withApiOptions(namespace.command("list"))
    .description("list namespaces with their rules")
    .action((options: ApiOptions) =>
      withApi(options, async (call) => {
        const all = allPages((after) => call(contracts.listNamespaces, { query: { limit: "1000", after } }));
        for await (const one of all) {
          const row = { ...one, name: namespaceLabel(one.name) };
          printRow(row, ["name", "ownerKind", "visibility", "createOnPush"], options.json === true);
        }
      }),
    );
  withApiOptions(namespace.command("show <name>"))
    .description("show a namespace, with what repositories have that are made in it")
    .action((label: string, options: ApiOptions) =>
      withApi(options, async (call) => {
        printOne(await call(contracts.showNamespace, { params: { namespace: label } }), options.json === true);
      }),
    );
  withApiOptions(namespace.command("delete <name>"))
    .description("delete a namespace with what was granted on it")
    .action((label: string, options: ApiOptions) =>
      withApi(options, async (call) => {
        printRemoval(await call(contracts.deleteNamespace, { params: { namespace: label } }), options.json);
      }),
    );
}
