import { expect, test } from "bun:test";
import { openTestAccess, problemOf, type TestAccess } from "../../../test/support/access.ts";
import { describeEachDatabase } from "../../../test/support/databases.ts";
import { setDisabled } from "../accounts.ts";
import { accessMigrations } from "../migrations.ts";
import { mostFailuresOfPair } from "../sign-in-failures.ts";
import { pollDevice, type Polled } from "./device-tokens.ts";
import type { BegunDevice } from "./device-sign-ins.ts";
import { formatUserCode, makeUserCode, parseUserCode } from "./user-code.ts";

const tokenLimits = { defaultDays: 30, maximumDays: 90 };
const remoteAddress = "192.0.2.1";
const minute = 60_000;

test("a user code is read however it is typed, and no other text is one", () => {
  const code = makeUserCode();
  const shown = formatUserCode(code);
  expect(shown).toMatch(/^[BCDFGHJKLMNPQRSTVWXZ]{4}-[BCDFGHJKLMNPQRSTVWXZ]{4}$/);
  for (const typed of [shown, shown.toLowerCase(), ` ${code} `, code.split("").join(" ")])
    expect(parseUserCode(typed)).toBe(code);
  for (const typed of ["", "BCDF", "BCDF-GHJA", `${code}B`, "AEIO-UAEI", "ＢＣＤＦ-GHJK"])
    expect(parseUserCode(typed)).toBeUndefined();
  expect(new Set(Array.from({ length: 1000 }, makeUserCode)).size).toBe(1000);
});

const tokensOf = ({ database }: TestAccess) => database.read.selectFrom("tokens").selectAll().execute();

describeEachDatabase("device sign-ins", (_dialect, open) => {
  const start = async () => {
    const access = await openTestAccess(await open([accessMigrations]));
    const account = await access.addAccount("ann", "a password of ann");
    const begin = (device = "laptop", address = remoteAddress): Promise<BegunDevice> =>
      access.deviceSignIns.begin({ device, scope: "images", remoteAddress: address });
    const poll = (deviceCode: string): Promise<Polled> =>
      pollDevice(
        { database: access.database, tokenLimits, now: access.clock.now },
        { deviceCode, remoteAddress, requestId: "request-1" },
      );
    const pollAfter = async (deviceCode: string, ms: number): Promise<string> => {
      access.clock.advance(ms);
      return (await poll(deviceCode)).kind;
    };
    return { access, account, begin, poll, pollAfter, looking: { account, remoteAddress } };
  };
  test("end with one token of whoever has let the device in, for what it has asked for", async () => {
    const { access, account, begin, poll, pollAfter, looking } = await start();
    const { deviceCode, userCode } = await begin();
    expect(await pollAfter(deviceCode, 5000)).toBe("pending");
    expect(await access.deviceSignIns.find(userCode, looking)).toMatchObject({
      device: "laptop",
      scope: "images",
      address: remoteAddress,
    });
    expect(await access.deviceSignIns.decide(userCode, looking, true)).toBe(true);
    expect(await access.deviceSignIns.decide(userCode, looking, false)).toBe(false);
    access.clock.advance(5000);
    const polls = await Promise.all([poll(deviceCode), poll(deviceCode), poll(deviceCode)]);
    const granted = polls.flatMap((polled) => (polled.kind === "granted" ? [polled] : []));
    expect(granted).toHaveLength(1);
    const [{ token, account: name } = { token: undefined, account: "" }] = granted;
    expect(name).toBe("ann");
    const identified = await access.identify({ name, password: token?.text ?? "", remoteAddress });
    expect(identified).toMatchObject({
      kind: "caller",
      caller: { principal: { id: account.id }, tokenScope: [{ pattern: "**" }] },
    });
    expect(await tokensOf(access)).toEqual([expect.objectContaining({ name: "laptop", owner_id: account.id })]);
    expect((await poll(deviceCode)).kind).toBe("unknown");
    const [{ events, envelope } = { events: "", envelope: "" }] = await access.database.read
      .selectFrom("event_outbox")
      .select(["events", "envelope"])
      .where("events", "like", "%token-created%")
      .execute();
    expect([envelope?.includes('"ann"'), envelope?.includes("request-1"), events.includes(token?.text ?? "?")]).toEqual(
      [true, true, false],
    );
  });

  test("are slowed down by asking too often", async () => {
    const { begin, pollAfter } = await start();
    const { deviceCode } = await begin();
    expect(await pollAfter(deviceCode, 0)).toBe("pending");
    expect(await pollAfter(deviceCode, 1000)).toBe("slow-down");
    expect(await pollAfter(deviceCode, 5000)).toBe("slow-down");
    expect(await pollAfter(deviceCode, 15_000)).toBe("pending");
  });

  test("end in nothing where they are refused, too late, or by somebody who is out", async () => {
    const { access, account, begin, poll, looking } = await start();
    const refused = await begin();
    expect(await access.deviceSignIns.decide(refused.userCode, looking, false)).toBe(true);
    expect((await poll(refused.deviceCode)).kind).toBe("denied");
    const late = await begin();
    access.clock.advance(10 * minute);
    expect((await poll(late.deviceCode)).kind).toBe("expired");
    expect(await access.deviceSignIns.find(late.userCode, looking)).toBeUndefined();
    expect(await access.deviceSignIns.decide(late.userCode, looking, true)).toBe(false);
    const approved = await begin();
    expect(await access.deviceSignIns.decide(approved.userCode, looking, true)).toBe(true);
    await access.change(({ tx }) => setDisabled(tx, account.id, true));
    expect((await poll(approved.deviceCode)).kind).toBe("denied");
    // Enabled again: what was said before counts no more.
    const again = await begin();
    await access.deviceSignIns.decide(again.userCode, looking, true);
    await access.change(({ tx }) => setDisabled(tx, account.id, false));
    expect((await poll(again.deviceCode)).kind).toBe("denied");
    expect(await tokensOf(access)).toEqual([]);
  });

  test("take no code that was guessed: after ten wrong ones not even the right one", async () => {
    const { access, begin, looking, poll } = await start();
    const { deviceCode, userCode } = await begin();
    for (let at = 0; at < mostFailuresOfPair; at++)
      expect(await access.deviceSignIns.find(at % 2 === 0 ? makeUserCode() : undefined, looking)).toBeUndefined();
    expect(await problemOf(access.deviceSignIns.find(userCode, looking))).toMatchObject({ code: "TOO_MANY_REQUESTS" });
    expect(await problemOf(access.deviceSignIns.decide(userCode, looking, true))).toMatchObject({
      code: "TOO_MANY_REQUESTS",
    });
    expect((await poll(deviceCode)).kind).toBe("pending");
    // Somebody else, or somewhere else, is not kept from anything; nor is the account from signing in.
    const elsewhere = { ...looking, remoteAddress: "198.51.100.1" };
    expect(await access.deviceSignIns.find(userCode, elsewhere)).toBeDefined();
    const verified = await access.verifyPassword({ name: "ann", password: "a password of ann", remoteAddress });
    expect(verified.kind).toBe("account");
  });

  test("are few from one network, of which the oldest give way", async () => {
    const { access, begin, poll } = await start();
    const first = await begin();
    for (let at = 0; at < 20; at++) {
      access.clock.advance(1);
      await begin(`machine ${at}`);
    }
    expect((await poll(first.deviceCode)).kind).toBe("unknown");
    const other = await begin("far away", "198.51.100.1");
    expect((await poll(other.deviceCode)).kind).toBe("pending");
    expect(await access.database.read.selectFrom("device_sign_ins").select("id").execute()).toHaveLength(21);
    access.clock.advance(10 * minute);
    await begin();
    expect(await access.database.read.selectFrom("device_sign_ins").select("id").execute()).toHaveLength(1);
  });

  test("know a code by all of it", async () => {
    const { begin, poll } = await start();
    const [{ deviceCode }, other] = [await begin(), await begin()];
    const mixed = `${deviceCode.slice(0, 30)}${other.deviceCode.slice(30)}`;
    for (const wrong of ["", "berth_device_", mixed, deviceCode.slice(0, -1), `${deviceCode}0`])
      expect((await poll(wrong)).kind).toBe("unknown");
  });
});
