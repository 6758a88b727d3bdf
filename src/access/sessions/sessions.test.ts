import { expect, it } from "bun:test";
import { openTestAccess } from "../../../test/support/access.ts";
import { describeEachDatabase } from "../../../test/support/databases.ts";
import { changePassword, deleteAccount, setDisabled } from "../accounts.ts";
import { accessMigrations } from "../migrations.ts";
import { createSessions } from "./sessions.ts";

const minuteMs = 60_000;
const hourMs = 60 * minuteMs;
const settings = { idleMs: hourMs, longestMs: 12 * hourMs };

describeEachDatabase("sessions", (_dialect, open) => {
  const begin = async () => {
    const access = await openTestAccess(await open([accessMigrations]));
    const { database, clock } = access;
    const sessions = createSessions({ database, settings, now: clock.now });
    const account = await access.addAccount("bob", "a long enough password");
    const { secret, expiresAt } = await sessions.begin(account);
    const isGood = async (isAsked = true): Promise<boolean> => (await sessions.use(secret, isAsked)) !== undefined;
    return { access, database, clock, sessions, account, secret, expiresAt, isGood };
  };

  it("are good while they are used, and end at their last moment", async () => {
    const { clock, isGood, expiresAt } = await begin();
    while (clock.now() + 50 * minuteMs < expiresAt) {
      clock.advance(50 * minuteMs);
      expect(await isGood()).toBe(true);
    }
    clock.advance(expiresAt - clock.now() - 1);
    expect(await isGood()).toBe(true);
    clock.advance(1);
    expect(await isGood()).toBe(false);
  });

  it("end when nobody asks, whatever a page asks by itself", async () => {
    const { clock, isGood } = await begin();
    for (let minutes = 0; minutes < 59; minutes++) {
      clock.advance(minuteMs);
      expect(await isGood(false)).toBe(true);
    }
    clock.advance(minuteMs);
    expect(await isGood(false)).toBe(false);
    expect(await isGood(true)).toBe(false);
  });

  it("are written to once a minute at most", async () => {
    const { clock, database, isGood, secret } = await begin();
    const activeAt = async () =>
      (await database.read.selectFrom("sessions").select("active_at").executeTakeFirst())?.active_at;
    const first = await activeAt();
    clock.advance(minuteMs - 1);
    await isGood();
    expect(await activeAt()).toBe(first);
    clock.advance(1);
    await isGood();
    expect(await activeAt()).toBe(clock.now());
    const rows = await database.read.selectFrom("sessions").selectAll().execute();
    expect(JSON.stringify(rows)).not.toContain(secret);
  });

  it("end with what else was issued to their account", async () => {
    for (const end of ["password", "disabled", "deleted"] as const) {
      const { access, account, isGood } = await begin();
      await access.change(async ({ tx }) => {
        if (end === "password") await changePassword(tx, { id: account.id, passwordHash: "x", changedAt: 1 });
        if (end === "disabled") await setDisabled(tx, account.id, true);
        if (end === "deleted") await deleteAccount(tx, account.id);
      });
      expect(await isGood()).toBe(false);
      if (end !== "disabled") continue;
      await access.change(({ tx }) => setDisabled(tx, account.id, false));
      expect(await isGood()).toBe(false);
    }
  });

  it("end when they are told to, and no other with them", async () => {
    const { sessions, account, secret, isGood } = await begin();
    const other = await sessions.begin(account);
    await sessions.end(`${secret.slice(0, -1)}${secret.endsWith("A") ? "B" : "A"}`);
    expect(await isGood()).toBe(true);
    await sessions.end(secret);
    await sessions.end(secret);
    expect(await isGood()).toBe(false);
    expect((await sessions.use(other.secret, true))?.account.id).toBe(account.id);
  });

  it("are a hundred of an account at most; the oldest give way", async () => {
    const { sessions, account, clock, database, isGood } = await begin();
    for (let count = 0; count < 100; count++) {
      clock.advance(1);
      await sessions.begin(account);
    }
    expect(await isGood()).toBe(false);
    expect(await database.read.selectFrom("sessions").select("id").execute()).toHaveLength(100);
    clock.advance(settings.longestMs);
    await sessions.begin(account);
    expect(await database.read.selectFrom("sessions").select("id").execute()).toHaveLength(1);
  });

  it("are nothing that can be made up", async () => {
    const { sessions, secret } = await begin();
    for (const wrong of [
      "",
      "x",
      secret.slice(0, -1),
      `${secret}0`,
      secret.replace("session", "rt"),
      "berth_session_",
    ]) {
      expect(await sessions.use(wrong, true)).toBeUndefined();
    }
  });
});
