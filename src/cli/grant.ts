import type { Command } from "commander";
import type { z } from "zod";
import type { CallApi } from "../access/api/client.ts";
import * as contracts from "../access/grants/contract.ts";
import { allPages } from "./all-pages.ts";
import { printOne, printRow } from "./print.ts";
import { printRemoval } from "./print-removal.ts";
import { StartError } from "./start-error.ts";
import { type ApiOptions, withApi, withApiOptions } from "./with-api.ts";

type Grant = z.input<(typeof contracts.createGrant)["body"]>;

interface WhomOptions {
  readonly user?: string;
  readonly team?: string;
  readonly robot?: string;
  readonly signedIn?: true;
  readonly anonymous?: true;
}

interface WhereOptions {
  readonly instance?: true;
  readonly org?: string;
  readonly namespace?: string;
  readonly repository?: string;
  readonly pattern?: string;
}

interface AddOptions extends ApiOptions, WhomOptions, WhereOptions {
  readonly tags?: string;
  readonly network?: readonly string[];
  readonly until?: string;
}

interface ListOptions extends ApiOptions, Pick<WhomOptions, "user" | "team" | "robot"> {
  readonly org?: string;
  readonly namespace?: string;
  readonly patterns?: true;
  readonly repository?: string;
}

const withWhom = (command: Command): Command =>
  command
    .option("--user <account>", "an account")
    .option("--team <organization/team>", "everyone in a team")
    .option("--robot <name>", "a robot, as it signs in")
    .option("--signed-in", "every account")
    .option("--anonymous", "everyone, signed in or not");

const withWhere = (command: Command): Command =>
  command
    .option("--instance", "on everything")
    .option("--org <name>", "on all that an organization has")
    .option("--namespace <name>", "on what is below a namespace; / is that of names without a slash")
    .option("--repository <name>", "on one repository")
    .option("--pattern <glob>", "on the repositories of a glob, such as 'acme/*-prod' or 'acme/web/**'");

/** `berth grant ...`: who has which role on what. */
export function addGrant(program: Command): void {
  const grant = program.command("grant").description("who has which role on what");
  withWhere(withWhom(withApiOptions(grant.command("add <role>"))))
    .description("give a role")
    .option("--tags <glob>", "only to create, move and delete these tags")
    .option("--network <network...>", "only from these networks")
    .option("--until <time>", "only until then, such as 2027-01-31T12:00:00Z")
    .action((role: string, options: AddOptions) =>
      withApi(options, async (call) => {
        const [to, on] = [readWhom(options), readWhere(options)];
        if (to === undefined) throw new StartError("say to whom: --user, --team, --robot, --signed-in or --anonymous");
        if (on === undefined)
          throw new StartError("say on what: --instance, --org, --namespace, --repository or --pattern");
        const { tags, network: networks, until } = options;
        const body = { role, to, on, tags, until, ...(networks && { networks: [...networks] }) };
        printOne(await call(contracts.createGrant, { body }), options.json === true);
      }),
    );
  withApiOptions(grant.command("list"))
    .description("list grants: all of them, those to somebody, or those on something")
    .option("--user <account>", "to an account, not to its teams")
    .option("--team <organization/team>", "to a team")
    .option("--robot <name>", "to a robot")
    .option("--org <name>", "on an organization")
    .option("--namespace <name>", "on a namespace")
    .option("--patterns", "on patterns in the namespace instead")
    .option("--repository <name>", "on one repository alone")
    .action((options: ListOptions) =>
      withApi(options, async (call) => {
        const list = lister(call, options);
        for await (const one of allPages(list)) {
          const row = {
            ...one,
            to: `${one.to.kind} ${one.to.name}`.trim(),
            on: `${one.on.kind} ${one.on.name}`.trim(),
          };
          if (options.json) printOne(one, true);
          else printRow(row, ["id", "role", "to", "on", "tags", "networks", "until"], false);
        }
      }),
    );
  withApiOptions(grant.command("remove <id>"))
    .description("take back what a grant gave")
    .action((id: string, options: ApiOptions) =>
      withApi(options, async (call) => {
        printRemoval(await call(contracts.deleteGrant, { params: { grant: id } }), options.json);
      }),
    );
}

const page = (after: string | undefined) => ({ limit: "1000", after });

/** Which of the lists it is that the options mean. */
function lister(call: CallApi, { user, team, robot, org, namespace, repository, patterns }: ListOptions) {
  if (org !== undefined) {
    const params = { organization: org };
    return (after: string | undefined) => call(contracts.listOrganizationGrants, { params, query: page(after) });
  }
  if (repository !== undefined) {
    const params = { repository };
    return (after: string | undefined) => call(contracts.listRepositoryGrants, { params, query: page(after) });
  }
  if (namespace !== undefined) {
    const query = { patterns: patterns ? ("true" as const) : ("false" as const) };
    return (after: string | undefined) =>
      call(contracts.listNamespaceGrants, { params: { namespace }, query: { ...page(after), ...query } });
  }
  return (after: string | undefined) =>
    call(contracts.listGrants, { query: { ...page(after), account: user, team, robot } });
}

function readWhom({ user, team, robot, signedIn, anonymous }: WhomOptions): Grant["to"] | undefined {
  const said: readonly (Grant["to"] | undefined)[] = [
    user === undefined ? undefined : { kind: "account", name: user },
    team === undefined ? undefined : { kind: "team", name: team },
    robot === undefined ? undefined : { kind: "robot", name: robot },
    signedIn && { kind: "signed-in" },
    anonymous && { kind: "anonymous" },
  ];
  return onlyOne(said, "somebody");
}

function readWhere({ instance, org, namespace, repository, pattern }: WhereOptions): Grant["on"] | undefined {
  const said: readonly (Grant["on"] | undefined)[] = [
    instance && { kind: "instance" },
    org === undefined ? undefined : { kind: "organization", name: org },
    namespace === undefined ? undefined : { kind: "namespace", name: namespace },
    repository === undefined ? undefined : { kind: "repository", name: repository },
    pattern === undefined ? undefined : { kind: "pattern", pattern },
  ];
  return onlyOne(said, "something");
}

function onlyOne<T>(said: readonly (T | undefined)[], what: string): T | undefined {
  const given = said.filter((one) => one !== undefined);
  if (given.length > 1) throw new StartError(`a grant is for one ${what}`);
  return given[0];
}
