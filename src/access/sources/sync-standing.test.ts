import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import {
  baseDn,
  missingSlapd,
  person,
  readerDn,
  readerPassword,
  type Slapd,
  startSlapd,
} from "../../../test/directory/slapd.ts";
import { openTestAccess, type TestAccess } from "../../../test/support/access.ts";
import { describeEachDatabase } from "../../../test/support/databases.ts";
import { directoryOf } from "../../../test/directory/directory-of.ts";
import { requirement } from "../../../test/support/requirement.ts";
import { sourcesSchema } from "../../platform/config/sources-schema.ts";
import { changeAccess } from "../change-access.ts";
import { accessMigrations } from "../migrations.ts";
import { setMember } from "../organizations/members.ts";
import { createOrganization } from "../organizations/organizations.ts";
import { addToTeam, createTeam } from "../organizations/teams.ts";
import type { Permission, Subject, Verb } from "../permissions.ts";
import { requireAccount, requireTeam } from "../require-named.ts";
import { type Confirm, resyncSource } from "./resync.ts";
import { sourceOf } from "./source-of.ts";
import { addTeamGroup, listTeamGroups, removeTeamGroup } from "./team-groups.ts";

setDefaultTimeout(60_000);

const right = "a right password";
const groupDn = (cn: string): string => `cn=${cn},ou=groups,${baseDn}`;
const personDn = (uid: string): string => `uid=${uid},ou=people,${baseDn}`;
const group = (cn: string, members: readonly string[]): string =>
  [
    `dn: ${groupDn(cn)}`,
    "objectClass: groupOfNames",
    `cn: ${cn}`,
    ...members.map((dn) => `member: ${dn}`),
    "",
    "",
  ].join("\n");

const entries = [
  ...["ann", "bob"].map((uid) => person(uid, right)),
  group("devs", [personDn("ann"), personDn("bob")]),
  group("staff", [groupDn("devs")]),
].join("");

const change = <T>(access: TestAccess, work: Parameters<typeof changeAccess<T>>[2]): Promise<T> =>
  changeAccess({ database: access.database, now: access.clock.now }, "operator", work);

const map = async (access: TestAccess, team: string, cn: string): Promise<void> => {
  const found = await requireTeam(access.database.read, team);
  await change(access, (tx) => addTeamGroup(tx, found, { source: "corp", group: groupDn(cn) }));
};

const signIn = async (access: TestAccess, name: string): Promise<void> => {
  const { kind } = await access.verifyPassword({ name, password: right, remoteAddress: "192.0.2.1" });
  expect(kind).toBe("account");
};

const resync = (access: TestAccess): Promise<string> => access.sources.resync(new AbortController().signal);

const teamsOf = async (access: TestAccess, name: string): Promise<readonly string[]> =>
  (
    await access.database.read
      .selectFrom("team_members")
      .innerJoin("teams", "teams.id", "team_members.team_id")
      .innerJoin("accounts", "accounts.id", "team_members.account_id")
      .select("teams.name")
      .where("accounts.name", "=", name)
      .orderBy("teams.name")
      .execute()
  ).map((row) => row.name);

const organizationsOf = (access: TestAccess, name: string) =>
  access.database.read
    .selectFrom("organization_members")
    .innerJoin("accounts", "accounts.id", "organization_members.account_id")
    .select("role")
    .where("accounts.name", "=", name)
    .execute();

const may = async (access: TestAccess, name: string, permission: Permission): Promise<boolean> => {
  const principal = { kind: "account", ...(await requireAccount(access.database.read, name)) } as const;
  const [subject, verb] = permission.split(":") as [Subject, Verb];
  return (await access.authorize({ principal }, verb, { kind: "instance", subject })).allowed;
};

const member = (how: "add" | "delete", who: string): string =>
  `dn: ${groupDn("devs")}\nchangetype: modify\n${how}: member\nmember: ${personDn(who)}\n`;

const settingsOf = ({ ldapsUrl, caFile }: Slapd, groups: object = {}) => ({
  name: "corp",
  kind: "ldap",
  urls: [ldapsUrl],
  bindDn: readerDn,
  bindPassword: readerPassword,
  caFile,
  cacheSeconds: 0,
  user: { baseDn, filter: "(objectClass=inetOrgPerson)" },
  groups: { baseDn: `ou=groups,${baseDn}`, ...groups },
});

requirement("teams of groups", missingSlapd, () => {
  let slapd: Slapd;
  beforeAll(async () => {
    slapd = await startSlapd({ entries });
  });
  afterAll(() => slapd[Symbol.asyncDispose]());

  describeEachDatabase("syncStanding", (_dialect, open) => {
    const start = async (more: object = {}, groups: object = {}): Promise<TestAccess> => {
      const database = await open([accessMigrations]);
      const [settings] = sourcesSchema.parse([{ ...settingsOf(slapd, groups), ...more }]);
      if (settings === undefined) throw new Error("no source");
      const access = await openTestAccess(database, "standard", { sources: [sourceOf(settings)] });
      await change(access, async (tx) => {
        const organization = await createOrganization(tx, { name: "acme", displayName: "" });
        for (const name of ["devs", "staff", "hand"]) await createTeam(tx, { organization, name });
      });
      return access;
    };

    test("whoever signs in is in the teams of their groups, and in the organization", async () => {
      const access = await start();
      await map(access, "acme/devs", "devs");
      await map(access, "acme/staff", "staff");
      await signIn(access, "ann");
      expect(await teamsOf(access, "ann")).toEqual(["devs", "staff"]);
      expect(await organizationsOf(access, "ann")).toEqual([{ role: "member" }]);
    });

    test("whoever leaves a group is out of its team with the next look, and out of the organization with the last", async () => {
      const access = await start();
      await map(access, "acme/devs", "devs");
      await map(access, "acme/staff", "staff");
      await signIn(access, "ann");
      await signIn(access, "bob");
      await slapd.change(member("delete", "ann"));
      try {
        await resync(access);
        expect(await teamsOf(access, "ann")).toEqual([]);
        expect(await organizationsOf(access, "ann")).toEqual([]);
        expect(await teamsOf(access, "bob")).toEqual(["devs", "staff"]);
      } finally {
        await slapd.change(member("add", "ann"));
      }
      await resync(access);
      expect(await teamsOf(access, "ann")).toEqual(["devs", "staff"]);
    });

    test("groups replace what was there, and leave alone what no group is for", async () => {
      const access = await start();
      await signIn(access, "ann");
      await access.addAccount("local", right);
      const [ann, local] = await Promise.all(
        ["ann", "local"].map((name) => requireAccount(access.database.read, name)),
      );
      const [staff, hand] = await Promise.all(
        ["acme/staff", "acme/hand"].map((name) => requireTeam(access.database.read, name)),
      );
      if (!ann || !local || !staff || !hand) throw new Error("not made");
      await change(access, async (tx) => {
        for (const account of [ann, local]) {
          await setMember(tx, { organization: staff.organization, account, role: "member" });
          await addToTeam(tx, { team: staff, account });
          await addToTeam(tx, { team: hand, account });
        }
      });
      await map(access, "acme/devs", "devs");
      await map(access, "acme/staff", "nobody");
      await resync(access);
      expect(await teamsOf(access, "ann")).toEqual(["devs", "hand"]);
      expect(await teamsOf(access, "local")).toEqual(["hand", "staff"]);
    });

    test("a group that is taken from a team takes its people along", async () => {
      const access = await start();
      await map(access, "acme/devs", "devs");
      await signIn(access, "ann");
      const team = await requireTeam(access.database.read, "acme/devs");
      const mapped = { source: "corp", group: groupDn("devs") };
      expect(await listTeamGroups(access.database.read, team.id)).toEqual([mapped]);
      await change(access, (tx) => removeTeamGroup(tx, team, mapped));
      expect(await teamsOf(access, "ann")).toEqual([]);
      await signIn(access, "ann");
      expect(await teamsOf(access, "ann")).toEqual([]);
    });

    test("a look that a sign-in has overtaken does not bring back what that one took away", async () => {
      const access = await start();
      await map(access, "acme/devs", "devs");
      await signIn(access, "ann");
      const corp = directoryOf(settingsOf(slapd));
      const overtaken: Confirm = async (subjects) => {
        const known = await corp.confirm(subjects);
        await slapd.change(member("delete", "ann"));
        access.clock.advance(1000);
        await signIn(access, "ann");
        return known;
      };
      try {
        const { signal } = new AbortController();
        await resyncSource(access.database, "corp", { ask: overtaken, now: access.clock.now, signal });
        expect(await teamsOf(access, "ann")).toEqual([]);
      } finally {
        await slapd.change(member("add", "ann"));
      }
    });

    test("a look that changes nobody's teams makes nobody's rights be read anew", async () => {
      const access = await start();
      await map(access, "acme/devs", "devs");
      await signIn(access, "ann");
      const revision = () => access.database.read.selectFrom("access_revision").select("revision").executeTakeFirst();
      const before = await revision();
      await resync(access);
      await signIn(access, "ann");
      expect(await revision()).toEqual(before);
    });

    test("the members of the two groups administer the instance, or read all of it, for as long as they are in them", async () => {
      const access = await start({}, { adminGroup: groupDn("Staff"), auditorGroup: groupDn("auditors") });
      await signIn(access, "ann");
      expect(await may(access, "ann", "configuration:update")).toBe(true);
      await slapd.change(group("auditors", [personDn("ann")]).replace("\n", "\nchangetype: add\n"));
      await slapd.change(member("delete", "ann"));
      try {
        await resync(access);
        expect(await may(access, "ann", "configuration:update")).toBe(false);
        expect(await may(access, "ann", "configuration:read")).toBe(true);
      } finally {
        await slapd.change(`dn: ${groupDn("auditors")}\nchangetype: delete\n`);
        await slapd.change(member("add", "ann"));
      }
      await resync(access);
      expect(await may(access, "ann", "configuration:update")).toBe(true);
    });

    test("whom the directory has not confirmed for too long may only read, until it does", async () => {
      await using away = await startSlapd({ entries });
      const access = await start(
        { urls: [away.ldapsUrl], caFile: away.caFile, staleSeconds: 3600 },
        { adminGroup: groupDn("staff") },
      );
      await signIn(access, "ann");
      await away.kill();
      access.clock.advance(3_500_000);
      expect(await resync(access)).toBe("corp does not answer");
      expect(await may(access, "ann", "configuration:update")).toBe(true);
      access.clock.advance(200_000);
      await resync(access);
      expect(await may(access, "ann", "configuration:update")).toBe(false);
      expect(await may(access, "ann", "configuration:read")).toBe(true);
      await away.start();
      await resync(access);
      expect(await may(access, "ann", "configuration:update")).toBe(true);
    });

    test("whoever is restricted has no namespace of their own", async () => {
      const access = await start({
        user: { baseDn, filter: "(objectClass=inetOrgPerson)", restrictedFilter: "(uid=bob)" },
      });
      for (const name of ["ann", "bob"]) await signIn(access, name);
      const own = await access.database.read
        .selectFrom("namespaces")
        .select("name")
        .where("owner_kind", "=", "account")
        .execute();
      expect(own).toEqual([{ name: "ann" }]);
    });

    test("each change is an event, which says that it is the source's doing", async () => {
      const access = await start();
      await map(access, "acme/devs", "devs");
      await signIn(access, "ann");
      const rows = await access.database.read.selectFrom("event_outbox").select(["events", "envelope"]).execute();
      const told = rows.filter(({ envelope }) => envelope?.includes("source corp")).map(({ events }) => events);
      for (const action of ["account-created", "organization-member-added", "team-member-added"])
        expect(told.join()).toContain(`"${action}"`);
      expect(told.join()).not.toContain(right);
    });
  });
});
