import { describe, expect, setDefaultTimeout, test } from "bun:test";
import type { AccessEvent, Envelope } from "../platform/events/access-event.ts";
import { openTestAccess } from "../../test/support/access.ts";
import { describeEachDatabase } from "../../test/support/databases.ts";
import { type Account, changePassword, deleteAccount, setDisabled } from "./accounts.ts";
import { endRefreshTokens } from "./end-refresh-tokens.ts";
import { accessMigrations } from "./migrations.ts";
import { makeOpaqueToken, parseOpaqueToken } from "./opaque-token.ts";
import { createRefreshTokens } from "./refresh-tokens.ts";

/** Passwords and databases are slow on a busy machine. */
setDefaultTimeout(30_000);

const by: Envelope = {
  actor: { kind: "account", id: "id of ann", name: "ann" },
  address: "192.0.2.7",
  requestId: "request-1",
};
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

const ended = (because: string, name: string) => ({
  action: "refresh-token-deleted",
  target: { name },
  after: { because },
});

describeEachDatabase("createRefreshTokens", (_dialect, open) => {
  const start = async () => {
    const access = await openTestAccess(await open([accessMigrations]));
    const account = await access.addAccount("ann", "correct horse");
    const issue = async (to: Account): Promise<string> => {
      const text = await access.refreshTokens.issue(to, by);
      if (text === undefined) throw new Error("no refresh token was issued");
      return text;
    };
    const use = async (text: string) => (await access.refreshTokens.use(text))?.name;
    return { ...access, account, issue, use };
  };

  test("bring back their account, again and again, until revoked", async () => {
    const { issue, change, account, use } = await start();
    const [one, two] = [await issue(account), await issue(account)];
    expect(one).not.toBe(two);
    expect([await use(one), await use(one), await use(two)]).toEqual(["ann", "ann", "ann"]);
    await change(({ tx }) => endRefreshTokens(tx, [account], "password-changed"));
    expect([await use(one), await use(two)]).toEqual([undefined, undefined]);
  });

  test("the database holds nothing that can be used", async () => {
    const { issue, account, database, use } = await start();
    const text = await issue(account);
    const rows = await database.read.selectFrom("refresh_tokens").selectAll().execute();
    expect(JSON.stringify(rows)).not.toContain(text.slice(25, 57));
    expect(rows).toHaveLength(1);
    expect(await use(`berth_rt_${rows[0]?.id ?? ""}${text.slice(25)}`)).toBe("ann");
    const stranger = makeOpaqueToken("berth_rt");
    expect(await use(stranger.text)).toBeUndefined();
  });

  test("the right id with another secret is refused", async () => {
    const { issue, account, database, use } = await start();
    const text = await issue(account);
    const stranger = makeOpaqueToken("berth_rt");
    const id = text.slice(9, 25);
    await database.write((tx) =>
      tx.updateTable("refresh_tokens").set({ id: stranger.id }).where("id", "=", id).execute(),
    );
    expect(await use(stranger.text)).toBeUndefined();
    expect(await use(text)).toBeUndefined();
  });

  test("run out after 30 days without use, and live on with it", async () => {
    const { issue, account, use, clock } = await start();
    const [used, idle] = [await issue(account), await issue(account)];
    clock.advance(29 * dayMs);
    expect(await use(used)).toBe("ann");
    clock.advance(2 * dayMs);
    expect(await use(used)).toBe("ann");
    expect(await use(idle)).toBeUndefined();
  });

  test("are good for one service", async () => {
    const { issue, account, database, clock } = await start();
    const text = await issue(account);
    const other = createRefreshTokens({ database, service: "elsewhere", now: clock.now });
    expect(await other.use(text)).toBeUndefined();
  });

  test("end with a changed password, a disabled and a replaced account", async () => {
    const { issue, change, use, addAccount, account } = await start();
    const text = await issue(account);
    await change(({ tx }) => setDisabled(tx, account.id, true));
    expect(await use(text)).toBeUndefined();
    await change(({ tx }) => setDisabled(tx, account.id, false));
    expect(await use(text)).toBeUndefined();
    const bob = await addAccount("bob", "correct horse");
    const ofBob = await issue(bob);
    await change(({ tx }) => changePassword(tx, { id: bob.id, passwordHash: "x", changedAt: 1 }));
    expect(await use(ofBob)).toBeUndefined();
    const eve = await addAccount("eve", "correct horse");
    const ofEve = await issue(eve);
    await change(({ tx }) => deleteAccount(tx, eve.id));
    await addAccount("eve", "correct horse");
    expect(await use(ofEve)).toBeUndefined();
  });

  test("an account keeps the newest hundred", async () => {
    const { issue, account, clock, use } = await start();
    const texts: string[] = [];
    for (let index = 0; index < 102; index += 1) {
      clock.advance(1);
      texts.push(await issue(account));
    }
    expect(await Promise.all(texts.slice(0, 3).map(use))).toEqual([undefined, undefined, "ann"]);
    expect(await use(texts.at(-1) ?? "")).toBe("ann");
  });

  test("are told as they are made and as they end, with why, and by whose request; never with the secret", async () => {
    const { issue, change, account, addAccount, database } = await start();
    const told = async () => {
      const rows = await database.read
        .selectFrom("event_outbox")
        .select(["events", "envelope"])
        .orderBy("id")
        .execute();
      return rows
        .filter(({ events }) => events.includes("refresh-token"))
        .map(({ events, envelope }) => ({
          events: (JSON.parse(events) as AccessEvent[]).filter(({ action }) => action.startsWith("refresh-token")),
          envelope: JSON.parse(envelope ?? "null") as unknown,
        }));
    };
    const text = await issue(account);
    const target = { id: text.slice(9, 25), name: "ann" };
    const [made, ...others] = await told();
    expect(others).toEqual([]);
    expect(made).toMatchObject({
      events: [{ action: "refresh-token-created", target, after: { expiresAt: expect.any(Number) } }],
      envelope: by,
    });
    expect(JSON.stringify(made)).not.toContain(text.slice(25, 57));
    await change(({ tx }) => changePassword(tx, { id: account.id, passwordHash: "x", changedAt: 1 }));
    expect((await told())[1]).toMatchObject({
      events: [{ ...ended("password-changed", "ann"), target }],
      envelope: { actor: { kind: "operator" } },
    });
    const [bob, eve] = [await addAccount("bob", "correct horse"), await addAccount("eve", "correct horse")];
    for (const one of [bob, bob, eve]) await issue(one);
    await change(({ tx }) => setDisabled(tx, bob.id, true));
    await change(({ tx }) => deleteAccount(tx, eve.id));
    expect((await told()).slice(-2).map(({ events }) => events)).toMatchObject([
      [ended("account-disabled", "bob"), ended("account-disabled", "bob")],
      [ended("account-deleted", "eve")],
    ]);
  });

  test("are not issued by a password that is changed meanwhile, or told to be gone", async () => {
    const { refreshTokens, change, account, use, database } = await start();
    await change(({ tx }) => changePassword(tx, { id: account.id, passwordHash: "x", changedAt: 1 }));
    expect(await refreshTokens.issue(account, by)).toBeUndefined();
    const bob = { ...account, epoch: account.epoch + 1 };
    const [texts] = await Promise.all([
      Promise.all(Array.from({ length: 10 }, () => refreshTokens.issue(bob, by))),
      change(({ tx }) => setDisabled(tx, account.id, true)),
    ]);
    for (const text of texts) expect(text === undefined ? undefined : await use(text)).toBeUndefined();
    // Each that was issued has been found and ended by who came after it.
    expect(await database.read.selectFrom("refresh_tokens").select("id").execute()).toEqual([]);
    expect(await refreshTokens.issue(bob, by)).toBeUndefined();
  });
});
