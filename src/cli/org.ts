import type { Command } from "commander";
import * as contracts from "../access/organizations/contract.ts";
import { allPages } from "./all-pages.ts";
import { printOne, printRow } from "./print.ts";
import { printRemoval } from "./print-removal.ts";
import { type ApiOptions, withApi, withApiOptions } from "./with-api.ts";

interface CreateOptions extends ApiOptions {
  readonly owner?: string;
  readonly displayName?: string;
  readonly takeOver?: true;
}

interface DeleteOptions extends ApiOptions {
  readonly dryRun?: true;
}

/** `berth org ...`: organizations and their members. */
export function addOrg(program: Command): void {
  const org = program.command("org").description("organizations and their members");
  withApiOptions(org.command("create <name>"))
    .description("make an organization with the namespace of its name")
    .option("--owner <account>", "who owns it")
    .option("--display-name <text>", "as people read it")
    .option("--take-over", "give it the repositories that are in its namespace already")
    .action((name: string, { owner, displayName, takeOver, ...options }: CreateOptions) =>
      withApi(options, async (call) => {
        const body = { name, owner, displayName, takesOver: takeOver === true };
        printOne(await call(contracts.createOrganization, { body }), options.json === true);
      }),
    );
  withApiOptions(org.command("rename <name> <display-name>"))
    .description("call an organization something else where people read it; its name stays")
    .action((organization: string, displayName: string, options: ApiOptions) =>
      withApi(options, async (call) => {
        const asked = { params: { organization }, body: { displayName }, ifMatch: "*" };
        printOne(await call(contracts.renameOrganization, asked), options.json === true);
      }),
    );
  withApiOptions(org.command("list"))
    .description("list organizations")
    .action((options: ApiOptions) =>
      withApi(options, async (call) => {
        const all = allPages((after) => call(contracts.listOrganizations, { query: { limit: "1000", after } }));
        for await (const one of all) printRow(one, ["name", "displayName", "id"], options.json === true);
      }),
    );
  withApiOptions(org.command("delete <name>"))
    .description("delete an organization that has no repositories, with its teams and what was granted on it")
    .option("--dry-run", "only tell what would be removed")
    .action((organization: string, { dryRun, ...options }: DeleteOptions) =>
      withApi(options, async (call) => {
        const asked = { params: { organization }, dryRun: dryRun === true };
        printRemoval(await call(contracts.deleteOrganization, asked), options.json);
      }),
    );
  addMembers(org);
}

interface MemberOptions extends ApiOptions {
  readonly owner?: true;
}

function addMembers(org: Command): void {
  const member = org.command("member").description("members of an organization");
  withApiOptions(member.command("add <organization> <account>"))
    .description("make an account a member, or an owner, or a member again")
    .option("--owner", "an owner: project-admin of all that the organization has")
    .action((organization: string, account: string, { owner, ...options }: MemberOptions) =>
      withApi(options, async (call) => {
        const body = { role: owner === true ? ("owner" as const) : ("member" as const) };
        printOne(await call(contracts.setMember, { params: { organization, account }, body }), options.json === true);
      }),
    );
  withApiOptions(member.command("remove <organization> <account>"))
    .description("end a membership, in the organization's teams too")
    .action((organization: string, account: string, options: ApiOptions) =>
      withApi(options, async (call) => {
        printRemoval(await call(contracts.removeMember, { params: { organization, account } }), options.json);
      }),
    );
  withApiOptions(member.command("list <organization>"))
    .description("list the members of an organization")
    .action((organization: string, options: ApiOptions) =>
      withApi(options, async (call) => {
        const of = { params: { organization } };
        const all = allPages((after) => call(contracts.listMembers, { ...of, query: { limit: "1000", after } }));
        for await (const one of all) printRow(one, ["name", "role"], options.json === true);
      }),
    );
}
