import type { Command } from "commander";
import { listMembers, removeMember, setMember } from "../access/organizations/members.ts";
import {
  createOrganization,
  deleteOrganization,
  listOrganizations,
  renameForDisplay,
} from "../access/organizations/organizations.ts";
import { requireAccount, requireOrganization } from "../access/require-named.ts";
import { printRow } from "./print-rows.ts";
import { type AccessOptions, everyOne, withAccess, withAccessOptions } from "./with-access.ts";

interface CreateOptions extends AccessOptions {
  readonly owner?: string;
  readonly displayName?: string;
  readonly takeOver?: true;
}

/** `berth org ...`: organizations and their members. */
export function addOrg(program: Command): void {
  const org = program.command("org").description("organizations and their members");
  withAccessOptions(org.command("create <name>"))
    .description("make an organization with the namespace of its name")
    .option("--owner <account>", "who owns it")
    .option("--display-name <text>", "as people read it")
    .option("--take-over", "give it the repositories that are in its namespace already")
    .action((name: string, { owner, displayName, takeOver, ...options }: CreateOptions) =>
      withAccess(options, async ({ change }) => {
        const wanted = { name, ...(owner && { owner }), ...(displayName && { displayName }) };
        const made = await change((tx) => createOrganization(tx, { ...wanted, takesOver: takeOver === true }));
        printRow({ ...made }, options.json);
      }),
    );
  withAccessOptions(org.command("rename <name> <display-name>"))
    .description("call an organization something else where people read it; its name stays")
    .action((name: string, displayName: string, options: AccessOptions) =>
      withAccess(options, async ({ read, change }) => {
        const { id } = await requireOrganization(read, name);
        await change((tx) => renameForDisplay(tx, { id, name, displayName }));
        printRow({ name, displayName }, options.json);
      }),
    );
  withAccessOptions(org.command("list"))
    .description("list organizations")
    .action((options: AccessOptions) =>
      withAccess(options, async ({ read }) => {
        const all = everyOne(
          (page) => listOrganizations(read, page),
          ({ name }) => name,
        );
        for await (const one of all)
          printRow({ name: one.name, displayName: one.displayName, id: one.id }, options.json);
      }),
    );
  withAccessOptions(org.command("delete <name>"))
    .description("delete an organization that has no repositories, with its teams and what was granted on it")
    .action((name: string, options: AccessOptions) =>
      withAccess(options, async ({ read, change }) => {
        const found = await requireOrganization(read, name);
        await change((tx) => deleteOrganization(tx, found));
        printRow({ deleted: name }, options.json);
      }),
    );
  addMembers(org);
}

interface MemberOptions extends AccessOptions {
  readonly owner?: true;
}

function addMembers(org: Command): void {
  const member = org.command("member").description("members of an organization");
  withAccessOptions(member.command("add <organization> <account>"))
    .description("make an account a member, or an owner, or a member again")
    .option("--owner", "an owner: project-admin of all that the organization has")
    .action((organization: string, account: string, { owner, ...options }: MemberOptions) =>
      withAccess(options, async ({ read, change }) => {
        const wanted = {
          organization: await requireOrganization(read, organization),
          account: await requireAccount(read, account),
          role: owner === true ? ("owner" as const) : ("member" as const),
        };
        await change((tx) => setMember(tx, wanted));
        printRow({ organization, account: wanted.account.name, role: wanted.role }, options.json);
      }),
    );
  withAccessOptions(member.command("remove <organization> <account>"))
    .description("end a membership, in the organization's teams too")
    .action((organization: string, account: string, options: AccessOptions) =>
      withAccess(options, async ({ read, change }) => {
        const gone = {
          organization: await requireOrganization(read, organization),
          account: await requireAccount(read, account),
        };
        await change((tx) => removeMember(tx, gone));
        printRow({ removed: gone.account.name }, options.json);
      }),
    );
  withAccessOptions(member.command("list <organization>"))
    .description("list the members of an organization")
    .action((organization: string, options: AccessOptions) =>
      withAccess(options, async ({ read }) => {
        const { id } = await requireOrganization(read, organization);
        const all = everyOne(
          (page) => listMembers(read, id, page),
          ({ name }) => name,
        );
        for await (const { name, role } of all) printRow({ name, role }, options.json);
      }),
    );
}
