import { afterAll, afterEach, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { openTestAccess, problemOf, type TestAccess } from "../../../test/support/access.ts";
import { openBrowser, signInThere } from "../../../test/support/browser.ts";
import { type Provider, startProvider } from "../../../test/oidc/provider.ts";
import { describeEachDatabase } from "../../../test/support/databases.ts";
import { sourcesSchema } from "../../platform/config/sources-schema.ts";
import type { Database } from "../../platform/database/database.ts";
import { setDisabled } from "../accounts.ts";
import { accessMigrations } from "../migrations.ts";
import { createOrganization } from "../organizations/organizations.ts";
import { createTeam } from "../organizations/teams.ts";
import { requireTeam } from "../require-named.ts";
import type { BrowserSignIn } from "./browser-sources.ts";
import { sourceOf } from "./source-of.ts";
import { addTeamGroup } from "./team-groups.ts";

/** A provider starts in its own process. */
setDefaultTimeout(60_000);

/** Nobody listens there: the browser stops in front of it. */
const redirectUri = "http://127.0.0.1:9/callback";
const people = {
  ann: { preferred_username: "ann", email: "ann@example.org" },
  bob: { preferred_username: "bob", email: "ann@example.org" },
};
const withGroups = { scopes: ["openid", "profile", "groups"], groups: { adminGroup: "admins" } };

const signIn = async ({ browserSources }: TestAccess, name: string): Promise<BrowserSignIn> => {
  const { url, pending } = await browserSources.begin("corp", redirectUri);
  const back = new URL((await signInThere(openBrowser(), url, { name, stopAt: redirectUri })).url).searchParams;
  const [code, state, issuer] = ["code", "state", "iss"].map((one) => back.get(one) ?? undefined);
  return browserSources.finish("corp", pending, { code, state, issuer, error: undefined });
};
const accountOf = async (access: TestAccess, name: string) => {
  const signedIn = await signIn(access, name);
  if (signedIn.kind !== "account") throw new Error(`${name} is ${JSON.stringify(signedIn)}`);
  return signedIn.account;
};
const teamsOf = async ({ database }: TestAccess) =>
  database.read
    .selectFrom("team_members")
    .innerJoin("accounts", "accounts.id", "team_members.account_id")
    .select("accounts.name")
    .execute();

describeEachDatabase("accounts of a provider", (_dialect, open) => {
  let provider: Provider;
  beforeAll(async () => {
    provider = await startProvider({ people, redirectUris: [redirectUri] });
  });
  afterEach(() => provider.setPeople(people));
  afterAll(() => provider[Symbol.asyncDispose]());

  const openOn = (database: Database, more: object = {}): Promise<TestAccess> => {
    const { issuer, clientId, clientSecret } = provider;
    const settings = sourcesSchema.parse([{ name: "corp", kind: "oidc", issuer, clientId, clientSecret, ...more }]);
    return openTestAccess(database, "standard", { sources: settings.map(sourceOf) });
  };
  const start = async (more: object = {}): Promise<TestAccess> => openOn(await open([accessMigrations]), more);

  test("are made at the first sign-in, and found again by issuer and sub, whatever else changes", async () => {
    const access = await start();
    const { id, name } = await accountOf(access, "ann");
    expect(name).toBe("ann");
    await provider.setPeople({ ann: { preferred_username: "anna", email: "other@example.org" } });
    expect(await accountOf(access, "ann")).toMatchObject({ id, name: "ann" });
    const rows = await access.database.read.selectFrom("account_identities").selectAll().execute();
    expect(rows).toEqual([
      expect.objectContaining({ source: "corp", subject: `${provider.issuer}#ann`, name: "anna" }),
    ]);
    expect(access.answers).toEqual([
      ["corp", "identity"],
      ["corp", "identity"],
    ]);
  });

  test("are nobody's by a name or an e-mail address that another has", async () => {
    const access = await start();
    const local = await access.addAccount("ann", "the password of another");
    const ann = await accountOf(access, "ann");
    expect(ann.id).not.toBe(local.id);
    expect(ann.name).toMatch(/^ann-[0-9a-f]{8}$/);
    // With the same address.
    expect((await accountOf(access, "bob")).name).toBe("bob");
    // Nor does a password do for any of them.
    for (const name of [ann.name, "bob"])
      expect((await access.verifyPassword({ name, password: "any", remoteAddress: "192.0.2.1" })).kind).toBe("refused");
  });

  test("of many first sign-ins at once, on several servers, one makes the account", async () => {
    const database = await open([accessMigrations]);
    const servers = [await openOn(database), await openOn(database), await openOn(database)];
    const accounts = await Promise.all(servers.map((access) => accountOf(access, "ann")));
    expect(new Set(accounts.map(({ id }) => id)).size).toBe(1);
    expect(await database.read.selectFrom("accounts").select("name").execute()).toEqual([{ name: "ann" }]);
  });

  test("are not made where the source makes none", async () => {
    const access = await start({ onboard: false });
    expect(await signIn(access, "ann")).toEqual({ kind: "stranger" });
    expect(await access.database.read.selectFrom("accounts").select("id").execute()).toEqual([]);
    const { id } = await accountOf(await openOn(access.database), "ann");
    expect(await accountOf(access, "ann")).toMatchObject({ id });
  });

  test("stay disabled, and have a second factor that no provider goes around", async () => {
    const access = await start();
    const { id } = await accountOf(access, "ann");
    await access.change(({ tx }) => setDisabled(tx, id, true));
    expect(await signIn(access, "ann")).toEqual({ kind: "disabled" });
    await access.sources.resync(new AbortController().signal);
    expect(await signIn(access, "ann")).toEqual({ kind: "disabled" });
    await access.change(({ tx }) => setDisabled(tx, id, false));
    await access.database.write((tx) =>
      tx.updateTable("accounts").set({ second_factor: 1 }).where("id", "=", id).execute(),
    );
    expect(await signIn(access, "ann")).toEqual({ kind: "second-factor" });
  });

  test("cannot be used while their source is not there, and can again from the next sign-in on", async () => {
    const access = await start();
    const account = await accountOf(access, "ann");
    const { token } = await access.tokens.issue(account, []);
    const without = await openTestAccess(access.database);
    const { signal } = new AbortController();
    await without.sources.resync(signal);
    expect(await access.tokens.verify(token)).toBeUndefined();
    expect(await access.sources.resync(signal)).toBe("corp: 0 not there for too long");
    expect(await accountOf(access, "ann")).toMatchObject({ id: account.id });
    expect(await access.tokens.verify(token)).toBeUndefined();
  });

  test("are in the teams of their groups, and administer by them, until a sign-in that says otherwise", async () => {
    const access = await start(withGroups);
    await access.change(async (change) => {
      const organization = await createOrganization(change, { name: "acme", displayName: "" });
      await createTeam(change, { organization, name: "devs" });
    });
    const team = await requireTeam(access.database.read, "acme/devs");
    await access.change((change) => addTeamGroup(change, team, { source: "corp", group: "devs" }));
    const may = async (id: string) =>
      access.authorize({ principal: { kind: "account", id, name: "ann" } }, "update", {
        kind: "instance",
        subject: "configuration",
      });
    await provider.setPeople({ ann: { preferred_username: "ann", groups: ["devs", "admins"] } });
    const { id } = await accountOf(access, "ann");
    expect(await teamsOf(access)).toEqual([{ name: "ann" }]);
    expect((await may(id)).allowed).toBe(true);
    await provider.setPeople({ ann: { preferred_username: "ann", groups: [] } });
    await accountOf(access, "ann");
    expect(await teamsOf(access)).toEqual([]);
    expect((await may(id)).allowed).toBe(false);
  });

  test("may only read when they have not been there for too long", async () => {
    const access = await start({ ...withGroups, staleSeconds: 3600 });
    await provider.setPeople({ ann: { preferred_username: "ann", groups: "admins" } });
    const { id } = await accountOf(access, "ann");
    const may = async (verb: "read" | "update") =>
      (
        await access.authorize({ principal: { kind: "account", id, name: "ann" } }, verb, {
          kind: "instance",
          subject: "configuration",
        })
      ).allowed;
    expect(await may("update")).toBe(true);
    access.clock.advance(3_601_000);
    expect(await access.sources.resync(new AbortController().signal)).toBe("corp: 1 not there for too long");
    expect([await may("read"), await may("update")]).toEqual([true, false]);
    await accountOf(access, "ann");
    expect(await may("update")).toBe(true);
  });

  test("are let in by a source that there is, and answers", async () => {
    const access = await start();
    expect(await problemOf(access.browserSources.begin("other", redirectUri))).toMatchObject({
      code: "OBJECT_UNKNOWN",
    });
    await provider.kill();
    try {
      expect(await problemOf(access.browserSources.begin("corp", redirectUri))).toMatchObject({ code: "UNAVAILABLE" });
    } finally {
      await provider.start();
    }
    expect(access.answers).toEqual([["corp", "unavailable"]]);
  });

  test("are not kept out by whoever brings back codes that are none, whatever the provider calls them", async () => {
    const access = await start();
    await provider.misbehave("codes-malformed");
    for (let at = 0; at < 5; at++) {
      const { pending } = await access.browserSources.begin("corp", redirectUri);
      const brought = { code: "none", state: pending.state, issuer: provider.issuer, error: undefined };
      expect(await access.browserSources.finish("corp", pending, brought)).toMatchObject({ kind: "refused" });
    }
    await provider.misbehave(undefined);
    expect((await accountOf(access, "ann")).name).toBe("ann");
  });

  test("are linked by an event that says whose doing it is", async () => {
    const access = await start();
    await accountOf(access, "ann");
    const rows = await access.database.read.selectFrom("event_outbox").select(["events", "envelope"]).execute();
    const told = rows.filter(({ envelope }) => envelope?.includes("source corp")).map(({ events }) => events);
    expect(told.join()).toContain('"account-created"');
    expect(told.join()).toContain(`${provider.issuer}#ann`);
  });
});
