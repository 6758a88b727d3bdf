import { expect, it, setDefaultTimeout } from "bun:test";
import { openTestAccess, type TestAccess } from "../../test/support/access.ts";
import { describeEachDatabase } from "../../test/support/databases.ts";
import { codesOf, repositoryName } from "../../test/support/registry.ts";
import { addOrganization, addRepositories, callerOf, grant } from "../../test/support/rights.ts";
import type { Account } from "./accounts.ts";
import type { AccessChange, Changer } from "./change-access.ts";
import { changeRole, createRole } from "./grants/custom-roles.ts";
import { accessMigrations } from "./migrations.ts";
import { setMember } from "./organizations/members.ts";
import { createNamespace, deleteNamespace } from "./organizations/namespaces.ts";
import { createOrganization } from "./organizations/organizations.ts";
import { addToTeam } from "./organizations/teams.ts";
import { createProtection, deleteProtection } from "./protections/protections.ts";
import { requireAsMuchAs } from "./require-held.ts";
import { requireTeam } from "./require-named.ts";
import { createRobot } from "./robots/change-robots.ts";
import { createRule } from "./workload/rules.ts";
import { createToken, rotateToken } from "./tokens/change-tokens.ts";

setDefaultTimeout(30_000);

const limits = { defaultDays: 90, maximumDays: 365 };

const outcome = async (
  { change }: TestAccess,
  by: Account | Changer,
  work: (change: AccessChange) => Promise<unknown>,
): Promise<string> => {
  const changer = by !== "operator" && "id" in by ? callerOf(by) : by;
  const [code = "done"] = await codesOf(change(work, changer));
  return code;
};
const give = async (access: TestAccess, to: readonly [Account, on: string], permissions: string): Promise<void> => {
  const name = `only-${crypto.randomUUID()}`;
  await access.change((change) => createRole(change, { name, permissions: permissions.split(" ") }));
  await grant(access, name, { to: to[0], on: to[1] });
};

describeEachDatabase("whoever may make some change only", (_dialect, open) => {
  const start = async () => {
    const access = await openTestAccess(await open([accessMigrations]));
    const [root, owner, clerk] = [
      await access.addAccount("root", "password", true),
      await access.addAccount("owner", "password"),
      await access.addAccount("clerk", "password"),
    ];
    const acme = await addOrganization(access, "acme", {
      owners: [owner],
      members: [clerk],
      teams: { dev: [], idle: [] },
    });
    return { access, root, owner, clerk, acme };
  };

  it("of members makes no owner, and puts nobody in a team that can more", async () => {
    const { access, owner, clerk, acme } = await start();
    await give(access, [clerk, "organization acme"], "member:create repository:read");
    await grant(access, "developer", { to: { kind: "team", name: "acme/dev" }, on: "namespace acme" });
    await grant(access, "limited-guest", { to: { kind: "team", name: "acme/idle" }, on: "organization acme" });
    const [dev, idle] = [
      await requireTeam(access.database.read, "acme/dev"),
      await requireTeam(access.database.read, "acme/idle"),
    ];
    const own = (by: Account) =>
      outcome(access, by, (change) => setMember(change, { organization: acme, account: clerk, role: "owner" }));
    const join = (by: Account, team: typeof dev) =>
      outcome(access, by, (change) => addToTeam(change, { team, account: clerk }));
    expect(await own(clerk)).toBe("DENIED");
    expect(await join(clerk, dev)).toBe("DENIED");
    expect(await join(clerk, idle)).toBe("DENIED");
    await give(access, [clerk, "organization acme"], "configuration:read description:read organization:read");
    await give(access, [clerk, "organization acme"], "allowlist:read quota:read scan:read scanner:read");
    await give(access, [clerk, "organization acme"], "image-label:read label:read");
    expect(await join(clerk, idle)).toBe("done");
    expect(await join(owner, dev)).toBe("done");
    // A team of administrators is nothing that an owner could have made.
    await grant(access, "administrator", { to: { kind: "team", name: "acme/idle" }, on: "instance" });
    expect(await join(owner, idle)).toBe("DENIED");
    expect(await own(owner)).toBe("done");
    const limited = { ...callerOf(owner), tokenScope: [{ pattern: "**", permissions: ["member:create"] as const }] };
    const other = { organization: acme, account: await access.addAccount("other", "password"), role: "owner" } as const;
    expect(await outcome(access, limited, (change) => setMember(change, other))).toBe("DENIED");
  });

  it("of roles adds nothing to one that they do not have themselves", async () => {
    const { access, root, clerk } = await start();
    await access.change((change) => createRole(change, { name: "editor", permissions: ["role:update", "role:read"] }));
    await grant(access, "editor", { to: clerk, on: "instance" });
    const edit = (by: Account, ...permissions: readonly string[]) =>
      outcome(access, by, (change) => changeRole(change, { name: "editor", permissions }));
    expect(await edit(clerk, "role:update", "role:read", "grant:create")).toBe("DENIED");
    expect(await edit(clerk, "role:update")).toBe("done");
    expect(await edit(clerk, "role:update", "role:read")).toBe("DENIED");
    expect(await edit(root, "role:update", "grant:create")).toBe("done");
  });

  it("of accounts signs in as nobody who has more on the whole registry", async () => {
    const { access, root, owner, clerk } = await start();
    await give(access, [clerk, "instance"], "account:update account:read");
    const act = (by: Account, as: Account) => outcome(access, by, (change) => requireAsMuchAs(change, as));
    const token = (by: Account, of: Account) =>
      outcome(access, by, (change) =>
        createToken(change, limits, {
          owner: { kind: "account", id: of.id, name: of.name },
          name: "x",
          scopes: [{ pattern: "**", permissions: ["grant:create"] }],
        }),
      );
    expect([await act(clerk, root), await token(clerk, root)]).toEqual(["DENIED", "DENIED"]);
    expect([await act(clerk, owner), await token(clerk, owner)]).toEqual(["done", "done"]);
    expect([await act(root, clerk), await token(root, clerk)]).toEqual(["done", "done"]);
    await addOrganization(access, "staff", { members: [owner], teams: { ops: [owner] } });
    await grant(access, "auditor", { to: { kind: "team", name: "staff/ops" }, on: "instance" });
    expect([await act(clerk, owner), await token(clerk, owner)]).toEqual(["DENIED", "DENIED"]);
  });

  it("of robots has no secret of one that can more", async () => {
    const { access, root, owner, clerk, acme } = await start();
    await give(access, [clerk, "organization acme"], "robot:read robot:update");
    const { id, name } = await access.change((change) => createRobot(change, { name: "ci", organization: acme }));
    const robot = { kind: "robot", id, name } as const;
    const secret = (by: Account) =>
      outcome(access, by, (change) => createToken(change, limits, { owner: robot, name: "x" }));
    expect(await secret(clerk)).toBe("done");
    const to = { kind: "robot", name } as const;
    await grant(access, "developer", { to, on: "namespace acme" });
    const made = await access.change((change) => createToken(change, limits, { owner: robot, name: "y" }));
    const rotate = (by: Account) =>
      outcome(access, by, (change) => rotateToken(change, limits, { id: made.id, overlapMs: 0 }));
    expect([await secret(clerk), await rotate(clerk)]).toEqual(["DENIED", "DENIED"]);
    const conditions = [{ claim: "sub", pattern: "main" }];
    const trust = { issuer: "https://issuer.example", audience: "berth", conditions };
    const trusting = (by: Account) =>
      outcome(access, by, (change) =>
        createRule(change, { robot: { id, name, organizationId: acme.id }, trust, listed: [] }),
      );
    expect([await trusting(clerk), await trusting(owner)]).toEqual(["DENIED", "done"]);
    // What an administrator has given it elsewhere, its organization was given.
    await addOrganization(access, "other");
    await grant(access, "guest", { to, on: "namespace other" });
    expect([await secret(owner), await rotate(owner)]).toEqual(["done", "done"]);
    await grant(access, "auditor", { to, on: "instance" });
    expect(await secret(owner)).toBe("DENIED");
    expect(await secret(root)).toBe("done");
  });

  it("of rules takes none away that keeps something from them", async () => {
    const { access, root, owner, clerk } = await start();
    await addRepositories(access, { "acme/app": "private" });
    await grant(access, "maintainer", { to: clerk, on: "namespace acme" });
    const place = { kind: "repository", name: repositoryName("acme/app") } as const;
    const rule = (role: "maintainer" | "project-admin" | "administrator") =>
      access.change((change) =>
        createProtection(change, place, { pattern: "v*", roles: { create: role, delete: role } }),
      );
    const [low, high, highest] = [await rule("maintainer"), await rule("project-admin"), await rule("administrator")];
    const remove = (by: Account, { id }: { readonly id: string }) =>
      outcome(access, by, (change) => deleteProtection(change, id));
    expect([await remove(clerk, highest), await remove(owner, highest)]).toEqual(["DENIED", "DENIED"]);
    expect([await remove(clerk, high), await remove(clerk, low)]).toEqual(["DENIED", "done"]);
    expect([await remove(owner, high), await remove(root, highest)]).toEqual(["done", "done"]);
    const below = { kind: "namespace", name: "acme/web" } as const;
    await access.change((change) => createNamespace(change, below));
    await access.change((change) =>
      createProtection(change, below, { pattern: "v*", roles: { update: "administrator" } }),
    );
    const drop = (by: Account) => outcome(access, by, (change) => deleteNamespace(change, below.name));
    expect([await drop(owner), await drop(root)]).toEqual(["DENIED", "done"]);
  });

  it("of organizations takes no repositories over", async () => {
    const { access, root, clerk } = await start();
    await give(access, [clerk, "instance"], "organization:create");
    await addRepositories(access, { "old/app": "private" });
    const create = (by: Account, name: string, takesOver: boolean) =>
      outcome(access, by, (change) => createOrganization(change, { name, owner: "clerk", takesOver }));
    expect([await create(clerk, "old", true), await create(clerk, "old", false)]).toEqual(["DENIED", "CONFLICT"]);
    expect([await create(clerk, "new", false), await create(root, "old", true)]).toEqual(["done", "done"]);
  });
});
