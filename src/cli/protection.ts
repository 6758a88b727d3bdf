import { type Command, Option } from "commander";
import * as contracts from "../access/protections/contract.ts";
import { ladder, type RankedRole } from "../access/roles.ts";
import { allPages } from "./all-pages.ts";
import { printOne, printRow } from "./print.ts";
import { printRemoval } from "./print-removal.ts";
import { StartError } from "./start-error.ts";
import { type ApiOptions, withApi, withApiOptions } from "./with-api.ts";

interface PlaceOptions extends ApiOptions {
  readonly namespace?: string;
  readonly repository?: string;
}

interface AddOptions extends PlaceOptions {
  readonly create?: RankedRole;
  readonly update?: RankedRole;
  readonly delete?: RankedRole;
}

const withPlace = (command: Command): Command =>
  withApiOptions(command)
    .option("--namespace <name>", "in all repositories of a namespace")
    .option("--repository <name>", "in one repository");

const leastRole = (flag: string, what: string): Option => new Option(`${flag} <role>`, what).choices(ladder);

/** `berth protection ...`: tags that take a role to be made, moved or deleted. */
export function addProtection(program: Command): void {
  const protection = program.command("protection").description("tags that not everyone who pushes may make or move");
  withPlace(protection.command("add <pattern>"))
    .description("protect the tags of a pattern, such as 'v*'")
    .addOption(leastRole("--create", "the least role that makes such a tag"))
    .addOption(leastRole("--update", "the least role that moves one"))
    .addOption(leastRole("--delete", "the least role that deletes one, or by digest what one may need"))
    .action((pattern: string, { create, update, delete: remove, ...options }: AddOptions) =>
      withApi(options, async (call) => {
        const body = { pattern, roles: { create, update, delete: remove } };
        const { namespace, repository } = requirePlace(options);
        const made =
          namespace === undefined
            ? await call(contracts.protectInRepository, { params: { repository }, body })
            : await call(contracts.protectInNamespace, { params: { namespace }, body });
        printOne({ ...made, ...made.roles }, options.json === true);
      }),
    );
  withPlace(protection.command("list"))
    .description("list the rules of a namespace or of a repository alone")
    .action((options: PlaceOptions) =>
      withApi(options, async (call) => {
        const { namespace, repository } = requirePlace(options);
        const all = allPages((after) => {
          const query = { limit: "1000", after };
          return namespace === undefined
            ? call(contracts.listRepositoryProtections, { params: { repository }, query })
            : call(contracts.listNamespaceProtections, { params: { namespace }, query });
        });
        for await (const one of all) printRow(one, ["id", "pattern", "roles"], options.json === true);
      }),
    );
  withApiOptions(protection.command("remove <id>"))
    .description("take a rule away")
    .action((id: string, options: ApiOptions) =>
      withApi(options, async (call) => {
        printRemoval(await call(contracts.deleteProtection, { params: { protection: id } }), options.json);
      }),
    );
}

type Place =
  | { readonly namespace: string; readonly repository: string }
  | { readonly namespace: undefined; readonly repository: string };

function requirePlace({ namespace, repository }: PlaceOptions): Place {
  if (namespace !== undefined && repository === undefined) return { namespace, repository: "" };
  if (repository !== undefined && namespace === undefined) return { namespace: undefined, repository };
  throw new StartError("say where: --namespace or --repository");
}
