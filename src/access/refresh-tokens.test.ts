import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { openTestAccess } from "../../test/support/access.ts";
import { describeEachDatabase } from "../../test/support/databases.ts";
import { changePassword, deleteAccount, setDisabled } from "./accounts.ts";
import { accessMigrations } from "./migrations.ts";
import { makeOpaqueToken, parseOpaqueToken } from "./opaque-token.ts";
import { createRefreshTokens } from "./refresh-tokens.ts";

/** Passwords and databases are slow on a busy machine. */
setDefaultTimeout(30_000);

const dayMs = 24 * 60 * 60_000;

describe("opaque tokens", () => {
  test("have a prefix, an id, 32 random characters and a checksum", () => {
    const token = makeOpaqueToken("berth_rt");
    expect(token.text).toMatch(/^berth_rt_[0-9A-Za-z]{54}$/);
    expect(token.text.slice(9, 25)).toBe(token.id);
    expect(parseOpaqueToken("berth_rt", token.text)).toEqual(token);
    expect(makeOpaqueToken("berth_rt").text).not.toBe(token.text);
  });

  test("a mistyped or foreign one is none", () => {
    const { text } = makeOpaqueToken("berth_rt");
    for (let at = 9; at < text.length; at += 1) {
      const other = text[at] === "a" ? "b" : "a";
      expect(parseOpaqueToken("berth_rt", text.slice(0, at) + other + text.slice(at + 1))).toBeUndefined();
    }
    for (const given of ["", "berth_rt_", `${text}\n`, ` ${text}`, text.slice(0, -1), `${text}0`]) {
      expect(parseOpaqueToken("berth_rt", given)).toBeUndefined();
    }
    expect(parseOpaqueToken("berth_pat", text)).toBeUndefined();
  });
});

describeEachDatabase("createRefreshTokens", (_dialect, open) => {
  const start = async () => {
    const access = await openTestAccess(await open([accessMigrations]));
    const account = await access.addAccount("ann", "correct horse");
    return { ...access, account, use: (text: string) => access.refreshTokens.use(text).then((found) => found?.name) };
  };

  test("bring back their account, again and again, until revoked", async () => {
    const { refreshTokens, account, use } = await start();
    const [one, two] = [await refreshTokens.issue(account), await refreshTokens.issue(account)];
    expect(one).not.toBe(two);
    expect([await use(one), await use(one), await use(two)]).toEqual(["ann", "ann", "ann"]);
    await refreshTokens.revokeAll(account.id);
    expect([await use(one), await use(two)]).toEqual([undefined, undefined]);
  });

  test("the database holds nothing that can be used", async () => {
    const { refreshTokens, account, database, use } = await start();
    const text = await refreshTokens.issue(account);
    const rows = await database.read.selectFrom("refresh_tokens").selectAll().execute();
    expect(JSON.stringify(rows)).not.toContain(text.slice(25, 57));
    expect(rows).toHaveLength(1);
    expect(await use(`berth_rt_${rows[0]?.id ?? ""}${text.slice(25)}`)).toBe("ann");
    const stranger = makeOpaqueToken("berth_rt");
    expect(await use(stranger.text)).toBeUndefined();
  });

  test("the right id with another secret is refused", async () => {
    const { refreshTokens, account, database, use } = await start();
    const text = await refreshTokens.issue(account);
    const stranger = makeOpaqueToken("berth_rt");
    const id = text.slice(9, 25);
    await database.write((tx) =>
      tx.updateTable("refresh_tokens").set({ id: stranger.id }).where("id", "=", id).execute(),
    );
    expect(await use(stranger.text)).toBeUndefined();
    expect(await use(text)).toBeUndefined();
  });

  test("run out after 30 days without use, and live on with it", async () => {
    const { refreshTokens, account, use, clock } = await start();
    const [used, idle] = [await refreshTokens.issue(account), await refreshTokens.issue(account)];
    clock.advance(29 * dayMs);
    expect(await use(used)).toBe("ann");
    clock.advance(2 * dayMs);
    expect(await use(used)).toBe("ann");
    expect(await use(idle)).toBeUndefined();
  });

  test("are good for one service", async () => {
    const { refreshTokens, account, database, clock } = await start();
    const text = await refreshTokens.issue(account);
    const other = createRefreshTokens({ database, service: "elsewhere", now: clock.now });
    expect(await other.use(text)).toBeUndefined();
  });

  test("end with a changed password, a disabled and a replaced account", async () => {
    const { refreshTokens, database, use, addAccount, account } = await start();
    const text = await refreshTokens.issue(account);
    await database.write((tx) => setDisabled(tx, account.id, true));
    expect(await use(text)).toBeUndefined();
    await database.write((tx) => setDisabled(tx, account.id, false));
    expect(await use(text)).toBeUndefined();
    const bob = await addAccount("bob", "correct horse");
    const ofBob = await refreshTokens.issue(bob);
    await database.write((tx) => changePassword(tx, { id: bob.id, passwordHash: "x", changedAt: 1 }));
    expect(await use(ofBob)).toBeUndefined();
    const eve = await addAccount("eve", "correct horse");
    const ofEve = await refreshTokens.issue(eve);
    await database.write((tx) => deleteAccount(tx, eve.id));
    await addAccount("eve", "correct horse");
    expect(await use(ofEve)).toBeUndefined();
  });

  test("an account keeps the newest hundred", async () => {
    const { refreshTokens, account, clock, use } = await start();
    const texts: string[] = [];
    for (let index = 0; index < 102; index += 1) {
      clock.advance(1);
      texts.push(await refreshTokens.issue(account));
    }
    expect(await Promise.all(texts.slice(0, 3).map(use))).toEqual([undefined, undefined, "ann"]);
    expect(await use(texts.at(-1) ?? "")).toBe("ann");
  });
});
