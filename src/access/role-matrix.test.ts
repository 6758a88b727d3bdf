import { expect, test } from "bun:test";
import { openTestAccess } from "../../test/support/access.ts";
import { describeEachDatabase } from "../../test/support/databases.ts";
import { repositoryName } from "../../test/support/registry.ts";
import { addOrganization, addRepositories, callerOf, grant } from "../../test/support/rights.ts";
import type { Resource } from "./authorize.ts";
import { accessMigrations } from "./migrations.ts";
import { parsePermission, subjects, verbs } from "./permissions.ts";
import { anonymous, type Caller } from "./principal.ts";

/**
 * What Harbor's documentation says that each role may do in a project, written down by hand: who may, from the left, is
 * anonymous and a stranger, limited guest, guest, developer, maintainer, project-admin, auditor, administrator.
 * Retention is the one difference: a rule that deletes images takes a maintainer here.
 */
const may: Readonly<Record<string, string>> = {
  "pull an image|repository:read": "..LGDMPUA",
  "push an image, create a repository|repository:create": "....DMP.A",
  "move a tag|repository:update": "....DMP.A",
  "delete an image|repository:delete": ".....MP.A",
  "set a repository's visibility|repository:admin": "......P.A",
  "read what a repository is|description:read": "..LGDMPUA",
  "edit a repository's description|description:update": ".....MP.A",
  "see the configuration|configuration:read": "..LGDMPUA",
  "change the configuration|configuration:update": "......P.A",
  "see the project|organization:read": "..LGDMPUA",
  "delete the project|organization:delete": "......P.A",
  "make a project|organization:create": "........A",
  "see vulnerabilities|scan:read": "..LGDMPUA",
  "scan an image|scan:create": ".....MP.A",
  "set the project's scanner|scanner:update": "......P.A",
  "export vulnerabilities|export:create": "....DMP.A",
  "see the allowlist|allowlist:read": "..LGDMPUA",
  "change the allowlist|allowlist:update": "......P.A",
  "see the quota|quota:read": "..LGDMPUA",
  "change the quota|quota:update": "........A",
  "list members|member:read": "...GDMPUA",
  "add a member|member:create": "......P.A",
  "change a member|member:update": "......P.A",
  "remove a member|member:delete": "......P.A",
  "list grants|grant:read": "...GDMPUA",
  "give a role|grant:create": "......P.A",
  "take a role|grant:delete": "......P.A",
  "see the log|log:read": "...GDMPUA",
  "label an image|image-label:create": "....DMP.A",
  "take an image's label|image-label:delete": "....DMP.A",
  "make a label|label:create": ".....MP.A",
  "see retention|retention:read": "....DMPUA",
  "make a retention rule|retention:create": ".....MP.A",
  "see immutability|immutability:read": "....DMPUA",
  "make an immutability rule|immutability:create": ".....MP.A",
  "protect tags|protection:create": ".....MP.A",
  "see robots|robot:read": ".....MPUA",
  "make a robot|robot:create": "......P.A",
  "delete a robot|robot:delete": "......P.A",
  "see webhooks|webhook:read": ".....MPUA",
  "make a webhook|webhook:create": "......P.A",
  "see replications|replication:read": ".....MPUA",
  "see replication jobs|job:read": "......PUA",
  "cancel an upload|upload:delete": ".....MP.A",
  "see accounts|account:read": ".......UA",
  "make an account|account:create": "........A",
  "change a role|role:update": "........A",
  "add a source of identity|source:create": "........A",
};
const letters = "..LGDMPUA";
const grantedRoles = ["limited-guest", "guest", "developer", "maintainer", "project-admin"] as const;

describeEachDatabase("the matrix of roles", (_dialect, open) => {
  const start = async () => {
    const access = await openTestAccess(await open([accessMigrations]));
    await addOrganization(access, "acme");
    await addOrganization(access, "other");
    await addRepositories(access, { "acme/app": "private", "other/app": "private" });
    const add = async (name: string, role: string, on: string): Promise<Caller> => {
      const account = await access.addAccount(name, "password");
      await grant(access, role, { to: account, on });
      return callerOf(account);
    };
    const callers: Caller[] = [anonymous, callerOf(await access.addAccount("stranger", "password"))];
    for (const role of grantedRoles) callers.push(await add(role, role, "organization acme"));
    callers.push(await add("auditor", "auditor", "instance"));
    callers.push(callerOf(await access.addAccount("root", "password", true)));
    const asked = async (name: string, permission: string): Promise<string> => {
      const [subject, verb] = permission.split(":");
      const found = { subject: subjects.find((one) => one === subject), verb: verbs.find((one) => one === verb) };
      if (found.subject === undefined || found.verb === undefined) throw new Error(`no permission: ${permission}`);
      const resource: Resource = { kind: "repository", name: repositoryName(name), subject: found.subject };
      let who = "";
      for (const [at, caller] of callers.entries()) {
        const { allowed } = await access.authorize(caller, found.verb, resource);
        who += allowed ? (letters[at] ?? "?") : ".";
        if (allowed && letters[at] === ".") who = `${who.slice(0, -1)}!`;
      }
      return who;
    };
    return { asked };
  };

  test("is that of Harbor's documentation", async () => {
    const { asked } = await start();
    const seen: Record<string, string> = {};
    for (const row of Object.keys(may)) seen[row] = await asked("acme/app", row.slice(row.indexOf("|") + 1));
    expect(seen).toEqual(may);
  });

  test("is nothing beyond the organization that the roles are on", async () => {
    const { asked } = await start();
    for (const [row, want] of Object.entries(may)) {
      const permission = row.slice(row.indexOf("|") + 1);
      expect([row, await asked("other/app", permission)]).toEqual([row, `.......${want.slice(7)}`]);
    }
  });

  test("knows no permission that is not one", () => {
    expect(Object.keys(may).map((row) => parsePermission(row.slice(row.indexOf("|") + 1)))).not.toContain(undefined);
    expect([parsePermission("repository:own"), parsePermission("constructor:read")]).toEqual([undefined, undefined]);
  });
});
