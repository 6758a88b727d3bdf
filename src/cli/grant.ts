import type { Command } from "commander";
import type { Conditions, Grantee, GrantScope } from "../access/grants/grant.ts";
import { createGrant, deleteGrant, findScope, findGrantee } from "../access/grants/grants.ts";
import { type GrantShown, listGrants } from "../access/grants/list-grants.ts";
import { refuse } from "../access/refusal.ts";
import { parseRepositoryName } from "../oci/names.ts";
import { printRow } from "./print-rows.ts";
import { type AccessOptions, everyOne, withAccess, withAccessOptions } from "./with-access.ts";

interface WhomOptions {
  readonly user?: string;
  readonly team?: string;
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

interface AddOptions extends AccessOptions, WhomOptions, WhereOptions {
  readonly tags?: string;
  readonly network?: readonly string[];
  readonly until?: string;
}

const withWhom = (command: Command): Command =>
  command
    .option("--user <account>", "an account")
    .option("--team <organization/team>", "everyone in a team")
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
  withWhere(withWhom(withAccessOptions(grant.command("add <role>"))))
    .description("give a role")
    .option("--tags <glob>", "only to create, move and delete these tags")
    .option("--network <network...>", "only from these networks")
    .option("--until <time>", "only until then, such as 2027-01-31T12:00Z")
    .action((role: string, options: AddOptions) =>
      withAccess(options, async ({ change }) => {
        const to = readWhom(options) ?? refuse("invalid", "say to whom: --user, --team, --signed-in or --anonymous");
        const on =
          readWhere(options) ??
          refuse("invalid", "say on what: --instance, --org, --namespace, --repository or --pattern");
        const id = await change((tx) => createGrant(tx, { role, to, on, conditions: readConditions(options) }));
        printRow({ id, role }, options.json);
      }),
    );
  withWhere(withWhom(withAccessOptions(grant.command("list"))))
    .description("list grants: all of them, or those to somebody, or those on something")
    .action((options: AccessOptions & WhomOptions & WhereOptions) =>
      withAccess(options, async ({ read }) => {
        const [to, on] = [readWhom(options), readWhere(options)];
        const filter = { ...(to && { to: await findGrantee(read, to) }), ...(on && { on: await findScope(read, on) }) };
        const all = everyOne(
          (page) => listGrants(read, filter, page),
          ({ id }) => id,
        );
        for await (const one of all) printRow(rowOf(one), options.json);
      }),
    );
  withAccessOptions(grant.command("remove <id>"))
    .description("take back what a grant gave")
    .action((id: string, options: AccessOptions) =>
      withAccess(options, async ({ change }) => {
        await change((tx) => deleteGrant(tx, id));
        printRow({ removed: id }, options.json);
      }),
    );
}

const rowOf = ({ id, role, to, on, tags, networks, until }: GrantShown) => ({
  id,
  role,
  to: `${to.kind} ${to.name}`.trim(),
  on: `${on.kind} ${on.name}`.trim(),
  ...(tags !== undefined && { tags }),
  ...(networks !== undefined && { networks }),
  ...(until !== undefined && { until: new Date(until).toISOString() }),
});

function readWhom({ user, team, signedIn, anonymous }: WhomOptions): Grantee | undefined {
  const said: readonly (Grantee | undefined)[] = [
    user === undefined ? undefined : { kind: "account", name: user },
    team === undefined ? undefined : { kind: "team", name: team },
    signedIn && { kind: "signed-in" },
    anonymous && { kind: "anonymous" },
  ];
  return onlyOne(said, "somebody");
}

function readWhere({ instance, org, namespace, repository, pattern }: WhereOptions): GrantScope | undefined {
  const said: readonly (GrantScope | undefined)[] = [
    instance && { kind: "instance" },
    org === undefined ? undefined : { kind: "organization", name: org },
    namespace === undefined ? undefined : { kind: "namespace", name: namespace === "/" ? "" : namespace },
    repository === undefined ? undefined : { kind: "repository", name: requireName(repository) },
    pattern === undefined ? undefined : { kind: "pattern", pattern },
  ];
  return onlyOne(said, "something");
}

const requireName = (text: string) =>
  parseRepositoryName(text) ?? refuse("invalid", `${text} is no name of a repository`);

function onlyOne<T>(said: readonly (T | undefined)[], what: string): T | undefined {
  const given = said.filter((one) => one !== undefined);
  if (given.length > 1) refuse("invalid", `a grant is for one ${what}`);
  return given[0];
}

function readConditions({ tags, network, until }: AddOptions): Conditions {
  const time = until === undefined ? undefined : Date.parse(until);
  if (Number.isNaN(time)) refuse("invalid", `${until ?? ""} is no time`);
  return {
    ...(tags !== undefined && { tags }),
    ...(network !== undefined && { networks: network }),
    ...(time !== undefined && { until: time }),
  };
}
