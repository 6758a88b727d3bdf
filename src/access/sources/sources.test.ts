import { server } from "../../platform/events/access-event.ts";
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { openTestAccess, problemOf, type TestAccess } from "../../../test/support/access.ts";
import {
  baseDn,
  missingSlapd,
  person,
  readerDn,
  readerPassword,
  type Slapd,
  startSlapd,
} from "../../../test/directory/slapd.ts";
import { describeEachDatabase } from "../../../test/support/databases.ts";
import { requirement } from "../../../test/support/requirement.ts";
import type { Database } from "../../platform/database/database.ts";
import { sourcesSchema } from "../../platform/config/sources-schema.ts";
import { setDisabled } from "../accounts.ts";
import { accessMigrations } from "../migrations.ts";
import { mostFailuresOfPair } from "../sign-in-failures.ts";
import type { Source } from "./source.ts";
import { sourceOf } from "./source-of.ts";

setDefaultTimeout(60_000);

const right = "a right password";
const home = "192.0.2.1";
const inUnit = (unit: string, entry: string): string =>
  entry.replace(/^dn:: (.*)$/m, (_line, dn: string) => {
    const moved = Buffer.from(dn, "base64").toString().replace("ou=people", `ou=${unit}`);
    return `dn:: ${Buffer.from(moved).toString("base64")}`;
  });

/** `groups` is the second directory's place for people. */
const entries =
  ["ann", "bob", "cleo", "dora", "eve", "admin", "jörg"].map((uid) => person(uid, right)).join("") +
  ["bob", "zoe"].map((uid) => inUnit("groups", person(uid, `${right} too`))).join("");

interface Person {
  readonly name: string;
  readonly id: string;
}

const signIn = async (access: TestAccess, name: string, password = right): Promise<Person | string> => {
  const verified = await access.verifyPassword({ name, password, remoteAddress: home });
  return verified.kind === "account" ? { name: verified.account.name, id: verified.account.id } : verified.kind;
};

const idOf = async (access: TestAccess, name: string, password = right): Promise<string> => {
  const signedIn = await signIn(access, name, password);
  if (typeof signedIn === "string") throw new Error(`${name} is ${signedIn}`);
  return signedIn.id;
};

const accountsIn = (database: Database): Promise<readonly { readonly name: string }[]> =>
  database.read.selectFrom("accounts").select("name").orderBy("name").execute();

requirement("accounts of a directory", missingSlapd, () => {
  let slapd: Slapd;
  beforeAll(async () => {
    slapd = await startSlapd({ entries });
  });
  afterAll(() => slapd[Symbol.asyncDispose]());

  const source = (name: string, more: Readonly<Record<string, unknown>> = {}): Source => {
    const { unit = "people", ...settings } = more;
    const [parsed] = sourcesSchema.parse([
      {
        name,
        kind: "ldap",
        urls: [slapd.ldapsUrl],
        bindDn: readerDn,
        bindPassword: readerPassword,
        caFile: slapd.caFile,
        user: { baseDn: `ou=${String(unit)},${baseDn}`, filter: "(objectClass=inetOrgPerson)" },
        ...settings,
      },
    ]);
    if (parsed === undefined) throw new Error("no source");
    return sourceOf(parsed);
  };

  describeEachDatabase("sign-in", (_dialect, open) => {
    const start = async (sources: readonly Source[] = [source("corp")]): Promise<TestAccess> =>
      openTestAccess(await open([accessMigrations]), "standard", { sources });

    test("the first one makes the account, all others have the same, under any spelling", async () => {
      const access = await start();
      const id = await idOf(access, "ann");
      expect(await signIn(access, " ANN ")).toEqual({ name: "ann", id });
      expect(await signIn(access, "ann", "wrong")).toBe("refused");
      expect(await signIn(access, "nobody")).toBe("refused");
      expect(await accountsIn(access.database)).toEqual([{ name: "ann" }]);
      const [row] = await access.database.read.selectFrom("account_identities").selectAll().execute();
      expect(row).toMatchObject({ source: "corp", account_id: id, name: "ann", email: "ann@example.org", active: 1 });
      const [account] = await access.database.read.selectFrom("accounts").selectAll().execute();
      expect(account?.password_hash).toBe("");
    });

    test("many first ones at once make one account", async () => {
      const database = await open([accessMigrations]);
      // As on several servers: each has its own memory of who signs in now.
      const servers: TestAccess[] = [];
      for (let at = 0; at < 4; at++)
        servers.push(await openTestAccess(database, "standard", { sources: [source("corp")] }));
      const ids = await Promise.all(servers.map((access) => idOf(access, "cleo")));
      expect(new Set(ids).size).toBe(1);
      expect(await accountsIn(database)).toEqual([{ name: "cleo" }]);
    });

    test("a right password is asked for once in its time", async () => {
      const access = await start();
      for (let at = 0; at < 10; at++) await idOf(access, "ann");
      expect(access.answers).toEqual([["corp", "identity"]]);
      access.clock.advance(60_000);
      await idOf(access, "ann");
      expect(access.answers).toHaveLength(2);
    });

    test("a local account has its name to itself, and the directory never sees its password", async () => {
      const access = await start();
      const { id } = await access.addAccount("admin", "the local one");
      expect(await signIn(access, "admin", "the local one")).toEqual({ name: "admin", id });
      expect(access.answers).toEqual([]);
      expect(await signIn(access, "admin", right)).toBe("refused");
      expect(access.answers).toEqual([["corp", "unknown"]]);
    });

    test("whoever comes to a name that is taken gets another one, always the same", async () => {
      const access = await start();
      const ann = await idOf(access, "ann");
      // The name is given to somebody new, after the first has got another.
      await slapd.change(`dn: uid=ann,ou=people,${baseDn}\nchangetype: modrdn\nnewrdn: uid=anna\ndeleteoldrdn: 1\n`);
      await slapd.change(person("ann", "of the new one").replace("objectClass", "changetype: add\nobjectClass"));
      try {
        expect(await signIn(access, "anna")).toEqual({ name: "ann", id: ann });
        const other = await signIn(access, "ann", "of the new one");
        expect(other).toMatchObject({ name: expect.stringMatching(/^ann-[0-9a-f]{8}$/) });
        expect(other).not.toMatchObject({ id: ann });
        expect(await signIn(access, "ann", "of the new one")).toEqual(other);
      } finally {
        await slapd.change(`dn: uid=ann,ou=people,${baseDn}\nchangetype: delete\n`);
        await slapd.change(`dn: uid=anna,ou=people,${baseDn}\nchangetype: modrdn\nnewrdn: uid=ann\ndeleteoldrdn: 1\n`);
      }
    });

    test("letters that an account's name cannot have are written with others", async () => {
      const access = await start();
      expect(await signIn(access, "jörg")).toMatchObject({ name: expect.stringMatching(/^jorg-[0-9a-f]{8}$/) });
      expect(await signIn(access, "JÖRG")).toMatchObject({ name: expect.stringMatching(/^jorg-[0-9a-f]{8}$/) });
      expect(await accountsIn(access.database)).toHaveLength(1);
    });

    test("of two directories the first that knows the name decides", async () => {
      const access = await start([source("corp"), source("other", { unit: "groups" })]);
      expect(await signIn(access, "bob", `${right} too`)).toBe("refused");
      const bob = await idOf(access, "bob");
      await idOf(access, "zoe", `${right} too`);
      expect(access.answers).toEqual([
        ["corp", "wrong"],
        ["corp", "identity"],
        ["corp", "unknown"],
        ["other", "identity"],
      ]);
      // One that comes later, and first in the order, takes nobody's name.
      const later = await openTestAccess(access.database, "standard", {
        sources: [source("other", { unit: "groups" }), source("corp")],
      });
      expect(await signIn(later, "bob", `${right} too`)).toBe("refused");
      expect(await signIn(later, "bob")).toEqual({ name: "bob", id: bob });
    });

    test("nobody new is let in where the source does not onboard", async () => {
      const access = await start([source("corp", { onboard: false })]);
      expect(await signIn(access, "ann")).toBe("refused");
      expect(await accountsIn(access.database)).toEqual([]);
      const opening = await openTestAccess(access.database, "standard", { sources: [source("corp")] });
      const id = await idOf(opening, "ann");
      expect(await signIn(access, "ann")).toEqual({ name: "ann", id });
    });

    test("an account that is disabled stays so, whatever the directory says", async () => {
      const access = await start();
      const id = await idOf(access, "ann");
      await access.change(({ tx }) => setDisabled(tx, id, true));
      expect(await signIn(access, "ann")).toBe("refused");
      await access.sources.resync(new AbortController().signal);
      expect(await signIn(access, "ann")).toBe("refused");
      await access.change(({ tx }) => setDisabled(tx, id, false));
      expect(await signIn(access, "ann")).toEqual({ name: "ann", id });
    });

    test("whoever has gone from the directory loses all that was issued, and has it anew when they come back", async () => {
      const access = await start();
      const id = await idOf(access, "dora");
      const verified = await access.verifyPassword({ name: "dora", password: right, remoteAddress: home });
      if (verified.kind !== "account") throw new Error("not signed in");
      const { token } = await access.tokens.issue(verified.account, []);
      const refresh = (await access.refreshTokens.issue(verified.account, server)) ?? "";
      const { signal } = new AbortController();
      expect(await access.sources.resync(signal)).toBe("corp: 1 confirmed, 0 suspended");
      expect(await access.tokens.verify(token)).toBeDefined();

      await slapd.change(
        `dn: uid=dora,ou=people,${baseDn}\nchangetype: modify\nreplace: objectClass\nobjectClass: inetOrgPerson\n\ndn: uid=dora,ou=people,${baseDn}\nchangetype: modrdn\nnewrdn: uid=dora\ndeleteoldrdn: 1\nnewsuperior: ou=groups,${baseDn}\n`,
      );
      try {
        expect(await access.sources.resync(signal)).toBe("corp: 0 confirmed, 1 suspended");
        expect(await access.tokens.verify(token)).toBeUndefined();
        expect(await access.refreshTokens.use(refresh)).toBeUndefined();
        expect(await signIn(access, "dora")).toBe("refused");
        expect(await access.sources.resync(signal)).toBe("corp: 0 confirmed, 0 suspended");
      } finally {
        await slapd.change(
          `dn: uid=dora,ou=groups,${baseDn}\nchangetype: modrdn\nnewrdn: uid=dora\ndeleteoldrdn: 1\nnewsuperior: ou=people,${baseDn}\n`,
        );
      }
      expect(await signIn(access, "dora")).toEqual({ name: "dora", id });
      expect(await access.tokens.verify(token)).toBeUndefined();
    });

    test("the accounts of a source that is gone cannot be used until it is there again", async () => {
      const access = await start();
      const id = await idOf(access, "ann");
      const without = await openTestAccess(access.database);
      expect(await without.sources.hasAccounts()).toBe(true);
      expect(await signIn(without, "ann")).toBe("refused");
      await without.sources.resync(new AbortController().signal);
      const suspended = () =>
        access.database.read.selectFrom("accounts").select("suspended").where("id", "=", id).executeTakeFirst();
      expect(await suspended()).toEqual({ suspended: 1 });
      expect(await without.sources.hasAccounts()).toBe(false);
      expect(await access.sources.resync(new AbortController().signal)).toBe("corp: 1 confirmed, 0 suspended");
      expect(await suspended()).toEqual({ suspended: 0 });
    });

    test("wrong passwords count as everywhere, under one spelling, and the right one is refused behind them", async () => {
      const access = await start();
      for (let at = 0; at < mostFailuresOfPair; at++)
        expect(await signIn(access, ["eve", " Eve", "EVE "][at % 3] ?? "", `wrong ${at}`)).toBe("refused");
      expect(await problemOf(signIn(access, "eve"))).toMatchObject({ code: "TOO_MANY_REQUESTS" });
      const asked = access.answers.length;
      await problemOf(signIn(access, "eve"));
      expect(access.answers).toHaveLength(asked);
    });

    test("where the directory is away, local accounts sign in, nobody else does, and nothing is counted", async () => {
      await using away = await startSlapd();
      const urls = [away.ldapsUrl];
      await away.kill();
      const access = await start([source("corp", { urls, connectTimeoutSeconds: 2 })]);
      await access.addAccount("admin", "the local one");
      for (let at = 0; at <= mostFailuresOfPair; at++)
        expect(await problemOf(signIn(access, "ann"))).toMatchObject({ code: "UNAVAILABLE" });
      expect(await signIn(access, "admin", "the local one")).toMatchObject({ name: "admin" });
      // Nobody learns by it whether there is such an account.
      expect(await problemOf(signIn(access, "admin", "wrong"))).toMatchObject({ code: "UNAVAILABLE" });
      expect(await access.sources.resync(new AbortController().signal)).toBe("corp: 0 confirmed, 0 suspended");
    });

    test("whoever was let in before stays so while the directory is away", async () => {
      await using away = await startSlapd({ entries: person("ann", right) });
      const access = await start([source("corp", { urls: [away.ldapsUrl], caFile: away.caFile })]);
      const id = await idOf(access, "ann");
      await away.kill();
      expect(await access.sources.resync(new AbortController().signal)).toBe("corp does not answer");
      expect(await signIn(access, "ann")).toEqual({ name: "ann", id });
      access.clock.advance(60_000);
      expect(await problemOf(signIn(access, "ann"))).toMatchObject({ code: "UNAVAILABLE" });
    });
  });
});
