import { server } from "../../platform/events/access-event.ts";
import { expect, it } from "bun:test";
import { openTestAccess, type TestAccess } from "../../../test/support/access.ts";
import { describeEachDatabase } from "../../../test/support/databases.ts";
import { codesOf, repositoryName, testRegistry } from "../../../test/support/registry.ts";
import { addOrganization, addRepositories, callerOf, grant, scopeNamed } from "../../../test/support/rights.ts";
import { readChanges } from "../../platform/events/consume-events.ts";
import { sequenceEvents } from "../../platform/events/positions.ts";
import { writeEvents } from "../../platform/events/record-events.ts";
import { ensureRepository } from "../../registry/repositories.ts";
import { type Account, deleteAccount, setDisabled } from "../accounts.ts";
import type { AccessChange } from "../change-access.ts";
import { changeRole, createRole, deleteRole } from "../grants/custom-roles.ts";
import { createGrant, deleteGrant } from "../grants/grants.ts";
import { listGrants } from "../grants/list-grants.ts";
import { accessMigrations } from "../migrations.ts";
import { anonymous, type Caller } from "../principal.ts";
import { visibilityOfNew } from "../rights.ts";
import { builtInRole } from "../roles.ts";
import { within } from "../../platform/database/prepared.ts";
import { removeMember, setMember } from "./members.ts";
import { changeNamespace, changeVisibility, createNamespace, deleteNamespace } from "./namespaces.ts";
import { createOrganization, deleteOrganization } from "./organizations.ts";
import { addToTeam, createTeam, deleteTeam } from "./teams.ts";
import { requireTeam } from "../require-named.ts";

/** Why a change was refused; `done` where it was not. */
async function outcomeOf(call: Promise<unknown>): Promise<string> {
  const [code = "done"] = await codesOf(call);
  return code;
}

const mayRead = async ({ authorize }: TestAccess, caller: Caller, name: string): Promise<boolean> =>
  (await authorize(caller, "read", { kind: "repository", name: repositoryName(name) })).allowed;

describeEachDatabase("organizations and rights", (_dialect, open) => {
  const start = async () => {
    const access = await openTestAccess(await open([accessMigrations]));
    const [root, ann, bob] = [
      await access.addAccount("root", "password", true),
      await access.addAccount("ann", "password"),
      await access.addAccount("bob", "password"),
    ];
    return { access, root, ann, bob };
  };

  it("leave nothing to what gets the name of something that was deleted", async () => {
    const { access, ann } = await start();
    const { change } = access;
    const acme = await addOrganization(access, "acme", { owners: [ann], teams: { dev: [ann] } });
    await grant(access, "developer", { to: { kind: "team", name: "acme/dev" }, on: "namespace acme" });
    await grant(access, "guest", { to: ann, on: "pattern acme/*" });
    await grant(access, "guest", { to: ann, on: "organization acme" });
    expect(await mayRead(access, callerOf(ann), "acme/app")).toBe(true);
    await change((tx) => deleteOrganization(tx, acme));
    expect(await mayRead(access, callerOf(ann), "acme/app")).toBe(false);
    await addOrganization(access, "acme", { teams: { dev: [] } });
    expect(await mayRead(access, callerOf(ann), "acme/app")).toBe(false);
    expect((await listGrants(access.database.read, {}, { after: undefined, limit: 9 })).items).toHaveLength(1);

    await access.change(({ tx }) => deleteAccount(tx, ann.id));
    const second = await access.addAccount("ann", "password");
    expect(second.id).not.toBe(ann.id);
    expect(await mayRead(access, callerOf(ann), "ann/app")).toBe(false);
    expect(await mayRead(access, callerOf(second), "ann/app")).toBe(true);
  });

  it("of a team end with the team, and its members' with the organization", async () => {
    const { access, root, ann, bob } = await start();
    const acme = await addOrganization(access, "acme", { owners: [bob] });
    await access.change((tx) => setMember(tx, { organization: acme, account: ann, role: "member" }));
    const teamed = async (): Promise<void> => {
      await access.change((tx) => createTeam(tx, { organization: acme, name: "dev" }));
      const team = await requireTeam(access.database.read, "acme/dev");
      await access.change((tx) => addToTeam(tx, { team, account: ann }));
      await grant(access, "guest", { to: { kind: "team", name: "acme/dev" }, on: "organization acme" });
    };
    await teamed();
    expect(await mayRead(access, callerOf(ann), "acme/app")).toBe(true);
    const team = await requireTeam(access.database.read, "acme/dev");
    await access.change((tx) => deleteTeam(tx, team));
    expect(await mayRead(access, callerOf(ann), "acme/app")).toBe(false);
    await teamed();
    await access.change((tx) => removeMember(tx, { organization: acme, account: ann }));
    expect(await mayRead(access, callerOf(ann), "acme/app")).toBe(false);
    await access.change((tx) => setMember(tx, { organization: acme, account: ann, role: "member" }));
    expect(await mayRead(access, callerOf(ann), "acme/app")).toBe(false);
    const again = await requireTeam(access.database.read, "acme/dev");
    expect(await outcomeOf(access.change((tx) => addToTeam(tx, { team: again, account: root })))).toBe("CONFLICT");
  });

  it("always have an administrator and an owner, also where two of them go at once", async () => {
    const { access, root, ann, bob } = await start();
    const { change } = access;
    const acme = await addOrganization(access, "acme", { owners: [ann, bob] });
    const left = await Promise.all(
      [ann, bob].map((account) => outcomeOf(change((tx) => removeMember(tx, { organization: acme, account })))),
    );
    expect(left.toSorted()).toEqual(["CONFLICT", "done"]);
    const [last] = await access.database.read.selectFrom("organization_members").select("account_id").execute();
    const owner = [ann, bob].find(({ id }) => id === last?.account_id) ?? ann;
    expect(await outcomeOf(change((tx) => setMember(tx, { organization: acme, account: owner, role: "member" })))).toBe(
      "CONFLICT",
    );
    expect(await outcomeOf(change(({ tx }) => deleteAccount(tx, owner.id)))).toBe("CONFLICT");

    const grants = await listGrants(
      access.database.read,
      { to: { kind: "account", id: root.id } },
      { after: undefined, limit: 9 },
    );
    const [first] = grants.items;
    expect(await outcomeOf(change((tx) => deleteGrant(tx, first?.id ?? "")))).toBe("CONFLICT");
    await grant(access, "administrator", { to: ann, on: "instance", until: access.clock.now() + 1000 });
    expect(await outcomeOf(change(({ tx }) => setDisabled(tx, root.id, true)))).toBe("CONFLICT");
    await grant(access, "administrator", { to: bob, on: "instance" });
    const gone = await Promise.all(
      [root, bob].map((account: Account) => outcomeOf(change(({ tx }) => setDisabled(tx, account.id, true)))),
    );
    expect(gone.toSorted()).toEqual(["CONFLICT", "done"]);
  });

  it("go only when their repositories have", async () => {
    const { access, ann } = await start();
    const acme = await addOrganization(access, "acme");
    await addRepositories(access, {
      "acme/app": "private",
      "ann/app": "private",
      "tools/x": "private",
      "new/x": "private",
    });
    expect(await outcomeOf(access.change((tx) => deleteOrganization(tx, acme)))).toBe("CONFLICT");
    expect(await outcomeOf(access.change(({ tx }) => deleteAccount(tx, ann.id)))).toBe("CONFLICT");
    await access.change((tx) => createNamespace(tx, { name: "tools" }));
    expect(await outcomeOf(access.change((tx) => deleteNamespace(tx, "tools")))).toBe("CONFLICT");
    expect(await outcomeOf(access.change((tx) => deleteNamespace(tx, "acme")))).toBe("CONFLICT");
    expect(await outcomeOf(access.change((tx) => deleteNamespace(tx, "library")))).toBe("CONFLICT");
    // Whoever is given a name is not given the images that others have below it.
    expect(await outcomeOf(access.change((tx) => createOrganization(tx, { name: "new" })))).toBe("CONFLICT");
    const late = await access.addAccount("new", "password");
    expect(await mayRead(access, callerOf(late), "new/x")).toBe(false);
    expect(await outcomeOf(access.change((tx) => createOrganization(tx, { name: "new", takesOver: true })))).toBe(
      "done",
    );
  });

  it("have names that are nobody else's", async () => {
    const { access } = await start();
    await addOrganization(access, "acme");
    const create = (name: string): Promise<string> =>
      outcomeOf(access.change((tx) => createOrganization(tx, { name })));
    for (const name of ["acme", "ann", "library"]) expect([name, await create(name)]).toEqual([name, "CONFLICT"]);
    for (const name of ["", "a/b", "Acme", "../x", "a%b"])
      expect([name, await create(name)]).toEqual([name, "INPUT_INVALID"]);
    const atOnce = await Promise.all(["twin", "twin"].map(create));
    expect(atOnce.toSorted()).toEqual(["CONFLICT", "done"]);
  });

  it("are given to repositories as they are made, and stay when the namespace's rule changes", async () => {
    const { access, bob } = await start();
    const { database, change } = access;
    const registry = testRegistry(database, {
      visibilityOfNew: (tx, name) => visibilityOfNew(within(tx, database), name),
    });
    const make = (name: string) =>
      writeEvents(database, (tx) => ensureRepository(registry, tx, repositoryName(name)), server);
    await addOrganization(access, "acme");
    await make("acme/hidden");
    await change((tx) => changeNamespace(tx, { name: "acme", visibility: "internal" }));
    await change((tx) => createNamespace(tx, { name: "acme/open", visibility: "public" }));
    for (const name of ["acme/shown", "acme/open/app", "acme/open/deep/app", "acme/openly", "library/x", "root"])
      await make(name);
    const readableBy = async (caller: Caller): Promise<string> => {
      const names = [
        "acme/hidden",
        "acme/shown",
        "acme/open/app",
        "acme/open/deep/app",
        "acme/openly",
        "library/x",
        "root",
      ];
      const may = await Promise.all(names.map((name) => mayRead(access, caller, name)));
      return names.filter((_, at) => may[at]).join(" ");
    };
    expect(await readableBy(anonymous)).toBe("acme/open/app acme/open/deep/app library/x");
    expect(await readableBy(callerOf(bob))).toBe("acme/shown acme/open/app acme/open/deep/app acme/openly library/x");
    await change((tx) => changeVisibility(tx, { name: repositoryName("acme/hidden"), visibility: "public" }));
    await change((tx) => changeVisibility(tx, { name: repositoryName("acme/open/app"), visibility: "private" }));
    expect(await readableBy(anonymous)).toBe("acme/hidden acme/open/deep/app library/x");
  });

  it("are told in the events of their own transaction, with before and after", async () => {
    const { access, ann, root } = await start();
    const caller = { ...callerOf(root), remoteAddress: "192.0.2.7", tokenId: "t1" };
    const tail = async () => {
      await sequenceEvents(access.database);
      return (await readChanges(access.database, { after: 0, limit: 100 })).at(-1);
    };
    await access.change((tx) => createRole(tx, { name: "puller", permissions: ["repository:read"] }), caller);
    expect(await tail()).toMatchObject({
      envelope: { actor: { kind: "account", id: root.id, name: "root", tokenId: "t1" }, address: "192.0.2.7" },
      events: [{ action: "role-created", target: { name: "puller" }, after: { permissions: ["repository:read"] } }],
    });
    const id = await grant(access, "puller", { to: ann, on: "namespace library", networks: ["10.0.0.0/8"] });
    expect(await tail()).toMatchObject({
      envelope: { actor: { kind: "operator" } },
      events: [{ action: "grant-created", target: { id, name: "puller" }, after: { on: { name: "library" } } }],
    });
    const refused = await outcomeOf(access.change((tx) => deleteRole(tx, "puller")));
    expect([refused, (await tail())?.events[0]]).toMatchObject(["CONFLICT", { action: "grant-created" }]);
    await access.change((tx) => changeRole(tx, { name: "puller", permissions: ["repository:create"] }));
    expect(await tail()).toMatchObject({
      events: [{ before: { permissions: ["repository:read"] }, after: { permissions: ["repository:create"] } }],
    });
  });
});

describeEachDatabase("a grant", (_dialect, open) => {
  const start = async () => {
    const access = await openTestAccess(await open([accessMigrations]));
    const ann = await access.addAccount("ann", "password");
    const bob = await access.addAccount("bob", "password");
    await access.addAccount("root", "password", true);
    await addOrganization(access, "acme", { teams: { dev: [] } });
    await addOrganization(access, "other", { teams: { dev: [] } });
    await addRepositories(access, { "acme/app": "private", "other/app": "private" });
    return { access, ann, bob };
  };

  it("gives nobody more than they have who give it", async () => {
    const { access, ann, bob } = await start();
    await grant(access, "project-admin", { to: ann, on: "organization acme" });
    const give = (role: string, on: string, about: Partial<Caller> = {}): Promise<string> =>
      outcomeOf(
        access.change(
          (tx: AccessChange) => createGrant(tx, { role, to: { kind: "account", name: "bob" }, on: scopeNamed(on) }),
          { ...callerOf(ann), ...about },
        ),
      );
    for (const on of [
      "organization acme",
      "namespace acme",
      "repository acme/app",
      "pattern acme/**",
      "pattern acme/x*",
    ]) {
      expect([on, await give("project-admin", on)]).toEqual([on, "done"]);
    }
    expect(await give("guest", "instance")).toBe("DENIED");
    // What is not hers to see is as if it were not there.
    for (const on of [
      "organization other",
      "namespace other",
      "repository other/app",
      "pattern other/*",
      "pattern *",
      "namespace library",
    ]) {
      expect([on, await give("guest", on)]).toEqual([on, "OBJECT_UNKNOWN"]);
    }
    for (const role of ["administrator", "auditor"]) expect(await give(role, "organization acme")).toBe("DENIED");
    await access.change((tx) => createRole(tx, { name: "hirer", permissions: ["account:create"] }));
    expect(await give("hirer", "organization acme")).toBe("DENIED");
    const reading = { pattern: "acme/**", permissions: [...builtInRole("guest").permissions] };
    const granting = { pattern: "acme/**", permissions: ["grant:create"] as const };
    const pulling = { pattern: "acme/**", permissions: ["repository:read"] as const };
    expect(await give("guest", "namespace acme", { tokenScope: [reading, granting] })).toBe("done");
    expect(await give("guest", "namespace acme", { tokenScope: [reading] })).toBe("DENIED");
    expect(await give("guest", "namespace acme", { tokenScope: [pulling, granting] })).toBe("DENIED");
    expect(await give("developer", "namespace acme", { tokenScope: [reading, granting] })).toBe("DENIED");
    expect(
      await give("guest", "namespace acme", { scope: [{ type: "repository", name: "acme/app", actions: ["*"] }] }),
    ).toBe("OBJECT_UNKNOWN");

    const borrowed = await access.addAccount("carl", "password");
    await grant(access, "project-admin", { to: borrowed, on: "organization acme", until: access.clock.now() + 60_000 });
    const lend = access.change(
      (tx) =>
        createGrant(tx, { role: "guest", to: { kind: "account", name: "bob" }, on: scopeNamed("namespace acme") }),
      callerOf(borrowed),
    );
    expect(await outcomeOf(lend)).toBe("DENIED");
    const foreign = access.change(
      (tx) =>
        createGrant(tx, { role: "guest", to: { kind: "team", name: "other/dev" }, on: scopeNamed("namespace acme") }),
      callerOf(ann),
    );
    expect(await outcomeOf(foreign)).toBe("DENIED");
    expect(await mayRead(access, callerOf(bob), "other/app")).toBe(false);
  });

  it("that is limited takes nothing from one beside it that is not", async () => {
    const { access, ann, bob } = await start();
    await grant(access, "maintainer", { to: ann, on: "organization acme" });
    await grant(access, "guest", { to: { kind: "signed-in" }, on: "instance", networks: ["192.0.2.0/24"] });
    const app = { kind: "repository", name: repositoryName("acme/app") } as const;
    expect(await access.authorize(callerOf(ann), "read", app)).not.toHaveProperty("dependsOn");
    expect(await access.authorize(callerOf(bob), "read", app)).toMatchObject({ dependsOn: { address: true } });
    // One that gives more makes a difference: tags may be protected from the other.
    await grant(access, "project-admin", { to: ann, on: "organization acme", until: access.clock.now() + 60_000 });
    expect(await access.authorize(callerOf(ann), "create", app)).toHaveProperty("dependsOn.until");
    const boss = await access.addAccount("boss", "password", true);
    const given = access.change(
      (tx) => createGrant(tx, { role: "auditor", to: { kind: "account", name: "bob" }, on: { kind: "instance" } }),
      callerOf(boss),
    );
    expect(await outcomeOf(given)).toBe("done");
  });

  it("holds in its networks, until its end, and for its tags alone", async () => {
    const { access, ann } = await start();
    const caller = callerOf(ann);
    const app = { kind: "repository", name: repositoryName("acme/app") } as const;
    const allowed = async (about: Partial<Caller>, verb: "read" | "create" | "delete", tag?: string) => {
      const some = tag === undefined ? {} : { tag: tag as never };
      return (await access.authorize({ ...caller, ...about }, verb, { ...app, ...some })).allowed;
    };
    const id = await grant(access, "guest", {
      to: ann,
      on: "repository acme/app",
      networks: ["10.0.0.0/8", "fd00::/8"],
    });
    const addresses = ["10.1.2.3", "::ffff:10.1.2.3", "fd00::1", "11.0.0.1", "unknown"];
    const may = await Promise.all(addresses.map((remoteAddress) => allowed({ remoteAddress }, "read")));
    expect([...may, await allowed({}, "read")]).toEqual([true, true, true, false, false, false]);
    await access.change((tx) => deleteGrant(tx, id));

    await grant(access, "guest", { to: ann, on: "repository acme/app", until: access.clock.now() + 1000 });
    const decision = await access.authorize(caller, "read", app);
    expect([decision.allowed, decision.dependsOn]).toEqual([true, { until: access.clock.now() + 1000 }]);
    access.clock.advance(1000);
    expect(await allowed({}, "read")).toBe(false);

    await grant(access, "maintainer", { to: ann, on: "repository acme/app", tags: "dev-*" });
    expect(await allowed({}, "read")).toBe(true);
    expect([
      await allowed({}, "create", "dev-1"),
      await allowed({}, "create", "prod-1"),
      await allowed({}, "create", "xdev-1"),
    ]).toEqual([true, false, false]);
    expect([await allowed({}, "delete", "dev-"), await allowed({}, "delete")]).toEqual([true, false]);
  });

  it("is refused where it cannot be", async () => {
    const { access, ann } = await start();
    const give = (on: string, conditions: object = {}, role = "guest") =>
      outcomeOf(grant(access, role, { to: ann, on, ...conditions }));
    expect(await give("namespace nowhere")).toBe("OBJECT_UNKNOWN");
    expect(await give("repository acme/absent")).toBe("OBJECT_UNKNOWN");
    expect(await give("organization nobody")).toBe("OBJECT_UNKNOWN");
    expect(await give("instance", {}, "nothing")).toBe("OBJECT_UNKNOWN");
    expect(await give("pattern nowhere/*")).toBe("OBJECT_UNKNOWN");
    for (const pattern of [
      "acme/**/app",
      "acme/a**",
      "acme/",
      "acme/[ab]",
      "acme/%",
      "ACME/*",
      `acme/${"*a".repeat(20)}`,
    ]) {
      expect([pattern, await give(`pattern ${pattern}`)]).toEqual([pattern, "INPUT_INVALID"]);
    }
    expect(await give("instance", { networks: ["10.0.0.0/33"] })).toBe("INPUT_INVALID");
    expect(await give("instance", { networks: [] })).toBe("INPUT_INVALID");
    expect(await give("instance", { tags: "v(1|2)+" })).toBe("INPUT_INVALID");
    expect(await give("instance", { until: access.clock.now() })).toBe("INPUT_INVALID");
  });
});
