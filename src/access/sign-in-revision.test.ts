import { expect, setDefaultTimeout, test } from "bun:test";
import { sql } from "kysely";
import { openTestAccess, problemOf, type TestAccess } from "../../test/support/access.ts";
import { createTestDatabase, describeEachDatabase, type OpenTestDatabase } from "../../test/support/databases.ts";
import type { Database, Dialect } from "../platform/database/database.ts";
import { migrate, type Migrations } from "../platform/database/migrations.ts";
import { openDatabase } from "../platform/database/open-database.ts";
import { revisionWatch } from "./access-revision.ts";
import { type Account, changePassword } from "./accounts.ts";
import { accessMigrations } from "./migrations.ts";
import { createRobot } from "./robots/change-robots.ts";
import { mostFailuresOfPair } from "./sign-in-failures.ts";
import { signInTables } from "./sign-in-revision.ts";
import { createToken, setTokenState } from "./tokens/change-tokens.ts";
import { parseTokenScopes } from "./tokens/token-scopes.ts";
import { createRule, deleteRule } from "./workload/rules.ts";

/** Passwords and databases are slow on a busy machine. */
setDefaultTimeout(60_000);

const home = "192.0.2.1";
const right = "correct horse";
const issuer = "https://issuer.example";
const limits = { defaultDays: 90, maximumDays: 365 };
const pull = { type: "repository", name: "acme/app", actions: ["pull"] } as const;

/** Tables that queries have named since the last look. */
interface Asked {
  readonly database: Database;
  readonly take: () => ReadonlySet<string>;
}

function listening(database: Database): Asked {
  const tables = new Set<string>();
  const all: Database["all"] = (query) => {
    for (const [, table = ""] of query.sql.matchAll(/(?:from|join|,) "(\w+)"(?! ?\.)/g)) tables.add(table);
    return database.all(query);
  };
  const take = (): ReadonlySet<string> => {
    const taken = new Set(tables);
    tables.clear();
    return taken;
  };
  return { database: { ...database, all }, take };
}

const passwordOf = (access: TestAccess, password: string): Promise<string> =>
  access.verifyPassword({ name: "ann", password, remoteAddress: home }).then(({ kind }) => kind);

/** All that somebody can show with each request, and whether it is good. */
async function showables(access: TestAccess, ann: Account) {
  const robot = await access.change((change) => createRobot(change, { name: "ci" }));
  const scopes = parseTokenScopes(["**:read"]);
  const owners = { ann: { kind: "account", ...ann }, robot: { kind: "robot", ...robot } } as const;
  const tokenOf = (whose: keyof typeof owners) =>
    access.change((change) => createToken(change, limits, { owner: owners[whose], name: "ci", scopes }));
  const [personal, secret] = [await tokenOf("ann"), await tokenOf("robot")];
  const rule = await access.change((change) =>
    createRule(change, {
      robot,
      trust: { issuer, audience: "berth", conditions: [{ claim: "sub", pattern: "job" }] },
      listed: [issuer],
    }),
  );
  const holders = {
    bearer: ann,
    "bearer for a token": { ...ann, tokenId: personal.id },
    "bearer of a robot": { ...robot, epoch: 1, robot: true, tokenId: secret.id },
    "bearer by a rule": { ...robot, epoch: 1, robot: true, ruleId: rule.id },
  } as const;
  const shown = new Map<string, (by: TestAccess) => Promise<boolean>>([
    ["password", async (by) => (await passwordOf(by, right)) === "account"],
    ["personal token", (by) => isIdentified(by, "ann", personal.text)],
    ["robot's secret", (by) => isIdentified(by, robot.name, secret.text)],
  ]);
  for (const [what, holder] of Object.entries(holders)) {
    const { token } = await access.tokens.issue(holder, [pull]);
    shown.set(what, async (by) => (await by.tokens.verify(token, home)) !== undefined);
  }
  return { robot, personal, secret, rule, shown };
}

const isIdentified = async (by: TestAccess, name: string, password: string): Promise<boolean> =>
  (await by.identify({ name, password, remoteAddress: home })).kind === "caller";

const goodOf = async (by: TestAccess, shown: Awaited<ReturnType<typeof showables>>["shown"]) => {
  const good: string[] = [];
  for (const [what, isGood] of shown) if (await isGood(by)) good.push(what);
  return good;
};

/** What pushes do all the time. */
const commit = ({ database }: TestAccess): Promise<unknown> =>
  database.write((tx) => sql`update access_revision set revision = revision + 1`.execute(tx));

/** Two that share nothing but what is in the database. */
async function twoProcesses(dialect: Dialect) {
  const storage = await createTestDatabase(dialect);
  const [here, there] = [await openDatabase({ url: storage.url }), await openDatabase({ url: storage.url })];
  await migrate(here, [accessMigrations]);
  return {
    here,
    there,
    async [Symbol.asyncDispose]() {
      for (const one of [here, there]) await one.close();
      await storage[Symbol.asyncDispose]();
    },
  };
}

const start = async (database: Database) => {
  const access = await openTestAccess(database);
  const ann = await access.addAccount("ann", right);
  return { access, ann, ...(await showables(access, ann)) };
};

describeEachDatabase("who signs in", (dialect, open: OpenTestDatabase) => {
  test("is asked of no table while only others are written, and of none that does not count up", async () => {
    const { database, take } = listening(await open([accessMigrations]));
    const { access, shown } = await start(database);
    take();
    // A password is looked up by its name first, and by the account that it has proved to be of next.
    for (let round = 0; round < 2; round += 1) expect(await goodOf(access, shown)).toEqual([...shown.keys()]);
    const revisions = ["access_revision", "sign_in_revision"];
    expect([...take()].filter((table) => table !== "signing_keys").toSorted()).toEqual(
      [...revisions, ...signInTables].toSorted(),
    );
    for (let round = 0; round < 3; round += 1) {
      await commit(access);
      expect(await goodOf(access, shown)).toEqual([...shown.keys()]);
    }
    expect([...take()].toSorted()).toEqual(revisions);
    // A look that sees nothing would find none of them now.
    await database.write((tx) => tx.updateTable("accounts").set({ display_name: "Ann" }).execute());
    expect(await goodOf(access, shown)).toEqual([...shown.keys()]);
    expect(take().has("accounts")).toBe(true);
  });

  test("is counted up by each change of each column, whoever writes, and by nothing else", async () => {
    const database = await open([accessMigrations]);
    const { access } = await start(database);
    expect(await passwordOf(access, "wrong")).toBe("refused");
    const { rights, signIns } = revisionWatch(database);
    let before = await signIns();
    const counts = async (change: string): Promise<boolean> => {
      await database.write((tx) => sql.raw(change).execute(tx));
      const [known, now] = [before, await signIns()];
      before = now;
      return now !== known;
    };
    for (const table of signInTables) {
      const [row] = await database.read.selectFrom(table).selectAll().limit(1).execute();
      const columns = Object.keys(row ?? {});
      expect(columns.length).toBeGreaterThan(2);
      for (const column of columns) {
        const change = `update ${table} set ${column} = ${column}`;
        expect({ change, counts: await counts(change) }).toEqual({ change, counts: true });
        expect({ nothing: table, counts: await counts(`${change} where false`) }).toEqual({
          nothing: table,
          counts: false,
        });
      }
      const copy = `create table copy_${table} as select * from ${table}`;
      expect({ copy, counts: await counts(copy) }).toEqual({ copy, counts: false });
    }
    // Rules would go with their robots.
    const deletes = signInTables.toReversed().map((table) => `delete from ${table}`);
    const inserts = signInTables.map((table) => `insert into ${table} select * from copy_${table}`);
    for (const change of [...deletes, ...inserts]) {
      expect({ change, counts: await counts(change) }).toEqual({ change, counts: true });
    }
    const held = await rights();
    await commit(access);
    expect([await rights(), await signIns()]).toEqual([held + 1, before]);
  });

  test("counts with the next request of another process", async () => {
    await using both = await twoProcesses(dialect);
    const { access, ann, shown, ...made } = await start(both.here);
    const passwordHash = await access.passwords.hash("another one");
    const other = await openTestAccess(both.there);
    const changes: readonly (readonly [ends: readonly string[], change: () => Promise<unknown>])[] = [
      [
        ["robot's secret", "bearer of a robot"],
        () => other.change((change) => setTokenState(change, { id: made.secret.id, state: "revoked" })),
      ],
      [["bearer by a rule"], () => other.change((change) => deleteRule(change, made.rule.id))],
      [
        ["personal token", "bearer for a token"],
        () => other.change((change) => setTokenState(change, { id: made.personal.id, state: "disabled" })),
      ],
      [
        ["password", "bearer"],
        () => other.change(({ tx }) => changePassword(tx, { id: ann.id, passwordHash, changedAt: 1 })),
      ],
    ];
    let good = [...shown.keys()];
    for (const [ends, change] of changes) {
      for (let round = 0; round < 2; round += 1) expect(await goodOf(access, shown)).toEqual(good);
      await change();
      good = good.filter((what) => !ends.includes(what));
      expect(await goodOf(access, shown)).toEqual(good);
    }
    expect(good).toEqual([]);
  });

  test("counts also where who writes knows nothing of what is remembered", async () => {
    await using both = await twoProcesses(dialect);
    const { access, shown } = await start(both.here);
    for (let round = 0; round < 2; round += 1) expect(await goodOf(access, shown)).toEqual([...shown.keys()]);
    await both.there.write((tx) => tx.updateTable("accounts").set({ disabled: 1 }).execute());
    expect(await goodOf(access, shown)).toEqual(["robot's secret", "bearer of a robot", "bearer by a rule"]);
    await both.there.write((tx) => tx.updateTable("robots").set({ disabled: 1 }).execute());
    expect(await goodOf(access, shown)).toEqual([]);
    await both.there.write((tx) => tx.updateTable("accounts").set({ disabled: 0 }).execute());
    expect(await passwordOf(access, right)).toBe("account");
  });

  test("is locked out by guesses in another process at once, and let in again by time alone", async () => {
    await using both = await twoProcesses(dialect);
    const access = await openTestAccess(both.here);
    await access.addAccount("ann", right);
    const other = await openTestAccess(both.there);
    for (let round = 0; round < 2; round += 1) expect(await passwordOf(access, right)).toBe("account");
    for (let guess = 0; guess < mostFailuresOfPair; guess += 1) {
      expect(await passwordOf(other, `wrong ${String(guess)}`)).toBe("refused");
    }
    for (let round = 0; round < 2; round += 1) {
      expect(await problemOf(passwordOf(access, right))).toMatchObject({ code: "TOO_MANY_REQUESTS" });
    }
    access.clock.advance(16 * 60_000);
    for (let round = 0; round < 2; round += 1) expect(await passwordOf(access, right)).toBe("account");
  });

  test("does not keep a later step from altering what it has changed", async () => {
    const database = await open([accessMigrations]);
    const access = await openTestAccess(database);
    await access.addAccount("ann", right);
    const { signIns } = revisionWatch(database);
    const before = await signIns();
    const later: Migrations = {
      owner: "access",
      steps: [
        {
          name: "999912312359_later",
          async up(tx, { text }) {
            await tx.updateTable("accounts").set({ display_name: "Ann" }).execute();
            await tx.schema.alterTable("accounts").addColumn("pronouns", text).execute();
          },
        },
      ],
    };
    await migrate(database, [later]);
    expect(await signIns()).toBe(before + 1);
  });
});
