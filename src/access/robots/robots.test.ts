import { expect, it, setDefaultTimeout } from "bun:test";
import { openTestAccess, problemOf, type TestAccess } from "../../../test/support/access.ts";
import { describeEachDatabase } from "../../../test/support/databases.ts";
import { repositoryName } from "../../../test/support/registry.ts";
import { addOrganization, addRepositories, callerOf, grant, scopeNamed } from "../../../test/support/rights.ts";
import { explain } from "../explain.ts";
import { createGrant } from "../grants/grants.ts";
import { listGrants } from "../grants/list-grants.ts";
import { accessMigrations } from "../migrations.ts";
import { deleteOrganization } from "../organizations/organizations.ts";
import type { Caller } from "../principal.ts";
import { createToken } from "../tokens/change-tokens.ts";
import { changeRobot, createRobot, deleteRobot, type NewRobot } from "./change-robots.ts";
import { listRobots, type NamedRobot } from "./find-robot.ts";

/** Databases are slow on a busy machine. */
setDefaultTimeout(30_000);

const limits = { defaultDays: 90, maximumDays: 365 };
const remoteAddress = "192.0.2.1";

const make = (access: TestAccess, wanted: NewRobot) => access.change((change) => createRobot(change, wanted));
const secretOf = async (access: TestAccess, { id, name }: NamedRobot): Promise<string> =>
  (await access.change((tx) => createToken(tx, limits, { owner: { kind: "robot", id, name }, name: "first" }))).text;

async function signIn(access: TestAccess, name: string, password: string): Promise<Caller | undefined> {
  const identified = await access.identify({ name, password, remoteAddress });
  return identified.kind === "caller" ? identified.caller : undefined;
}

const may = async (access: TestAccess, caller: Caller | undefined, name: string): Promise<boolean> =>
  caller !== undefined &&
  (await access.authorize(caller, "read", { kind: "repository", name: repositoryName(name) })).allowed;

describeEachDatabase("a robot", (_dialect, open) => {
  const start = async () => {
    const access = await openTestAccess(await open([accessMigrations]));
    const ann = await access.addAccount("ann", "password");
    const acme = await addOrganization(access, "acme", { owners: [ann] });
    await addRepositories(access, { "acme/app": "private", "acme/web": "internal", "other/app": "private" });
    return { access, ann, acme };
  };

  it("signs in by its full name with each of its secrets, and may what it was granted and nothing else", async () => {
    const { access, acme } = await start();
    const robot = await make(access, { name: "ci", organization: acme });
    expect(robot.name).toBe("robot$acme+ci");
    const secrets = [await secretOf(access, robot), await secretOf(access, robot)];
    for (const secret of secrets) {
      const caller = await signIn(access, "robot$acme+ci", secret);
      expect(caller?.principal).toEqual({ kind: "robot", ...robot });
      expect(await may(access, caller, "acme/app")).toBe(false);
      // What is internal is for people.
      expect(await may(access, caller, "acme/web")).toBe(false);
    }
    for (const name of ["acme+ci", "ci", "ann", "robot$ci"]) {
      expect(await signIn(access, name, secrets[0] ?? "")).toBeUndefined();
    }
    await grant(access, "guest", { to: { kind: "robot", name: "robot$acme+ci" }, on: "repository acme/app" });
    const caller = await signIn(access, "robot$acme+ci", secrets[0] ?? "");
    expect(await may(access, caller, "acme/app")).toBe(true);
    expect(await may(access, caller, "acme/web")).toBe(false);
    const { items } = await listGrants(access.database.read, {}, { after: undefined, limit: 9 });
    expect(items[0]?.to).toEqual({ kind: "robot", name: "robot$acme+ci" });
    const question = { account: "robot$acme+ci", doing: "read", repository: "acme/app" };
    const told = await explain({ read: access.database.read, authorize: access.authorize }, question);
    expect(told.decision).toMatchObject({ allowed: true, because: { role: "guest" } });
  });

  it("is given no more than whoever gives it has, and one of an organization nothing elsewhere", async () => {
    const { access, ann, acme } = await start();
    await make(access, { name: "ci", organization: acme });
    await make(access, { name: "all" });
    const give = (robot: string, role: string, on: string) =>
      access.change(
        (tx) => createGrant(tx, { to: { kind: "robot", name: robot }, role, on: scopeNamed(on) }),
        callerOf(ann),
      );
    expect(await give("robot$acme+ci", "maintainer", "organization acme")).toBeString();
    expect(await give("robot$all", "guest", "pattern acme/a*")).toBeString();
    for (const [role, on, code] of [
      ["guest", "repository other/app", "OBJECT_UNKNOWN"],
      ["guest", "instance", "DENIED"],
      ["administrator", "organization acme", "DENIED"],
      ["guest", "pattern *", "OBJECT_UNKNOWN"],
    ] as const) {
      expect([on, await problemOf(give("robot$acme+ci", role, on))]).toMatchObject([on, { code }]);
    }
    // Its own namespace is no place for another's robot.
    expect(await problemOf(give("robot$acme+ci", "guest", "namespace ann"))).toMatchObject({ code: "DENIED" });
  });

  it("ends with what it has when it is disabled, over, deleted, or its organization is; its name revives nothing", async () => {
    const { access, acme } = await start();
    const later = access.clock.now() + 1000;
    const robot = await make(access, { name: "ci", organization: acme, expiresAt: later });
    const secret = await secretOf(access, robot);
    const shown = () => signIn(access, robot.name, secret);
    const { epoch } = (await listRobots(access.database.read, acme.id, { after: undefined, limit: 9 })).items[0] ?? {};
    const issued = await access.tokens.issue({ ...robot, robot: true, epoch: epoch ?? 0 }, []);
    const bearer = () => access.tokens.verify(issued.token, remoteAddress);
    expect([await shown(), await bearer()]).toMatchObject([{ principal: robot }, { principal: robot }]);
    await access.change((tx) => changeRobot(tx, { name: robot.name, disabled: true }));
    expect([await shown(), await bearer()]).toEqual([undefined, undefined]);
    await access.change((tx) => changeRobot(tx, { name: robot.name, disabled: false }));
    expect(await shown()).toBeDefined();
    // What was issued before is of another time.
    expect(await bearer()).toBeUndefined();
    access.clock.advance(1000);
    expect(await shown()).toBeUndefined();
    await access.change((tx) => changeRobot(tx, { name: robot.name, expiresAt: null }));
    expect(await shown()).toBeDefined();
    await grant(access, "guest", { to: { kind: "robot", name: robot.name }, on: "namespace acme" });

    await access.change((tx) => deleteRobot(tx, "acme+ci"));
    expect(await shown()).toBeUndefined();
    const second = await make(access, { name: "ci", organization: acme });
    expect(await shown()).toBeUndefined();
    const caller = await signIn(access, second.name, await secretOf(access, second));
    expect(await may(access, caller, "acme/app")).toBe(false);

    await access.database.write((tx) => tx.deleteFrom("repositories").execute());
    await access.change((tx) => deleteOrganization(tx, acme));
    for (const table of ["robots", "tokens", "grants"] as const) {
      const kind = table === "grants" ? "principal_kind" : "owner_kind";
      const rows = await access.database.read.selectFrom(table).selectAll().execute();
      expect(rows.filter((row) => !(kind in row) || Reflect.get(row, kind) === "robot")).toEqual([]);
    }
  });

  it("without a secret is nobody who signs in", async () => {
    const { access } = await start();
    const { name } = await make(access, { name: "deployer", description: "reached by workload identity alone" });
    expect(name).toBe("robot$deployer");
    expect(await signIn(access, name, "anything that is long")).toBeUndefined();
    expect(await problemOf(make(access, { name: "deployer" }))).toMatchObject({ code: "CONFLICT" });
    for (const wrong of ["", "a+b", "a$b", "A", "-a", "a/b", "x".repeat(65)]) {
      expect(await problemOf(make(access, { name: wrong }))).toMatchObject({ code: "INPUT_INVALID" });
    }
  });
});
