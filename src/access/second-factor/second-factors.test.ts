import { expect, setDefaultTimeout, test } from "bun:test";
import { fromBase32 } from "../../../test/api/base32.ts";
import { openTestAccess, problemOf } from "../../../test/support/access.ts";
import { describeEachDatabase } from "../../../test/support/databases.ts";
import { accessMigrations } from "../migrations.ts";
import { mostFailuresOfProven } from "../sign-in-failures.ts";
import { codeOf } from "./totp.ts";

/** Databases are slow on a busy machine. */
setDefaultTimeout(30_000);

const stepMs = 30_000;

/** One of very many networks that somebody holds who has a /48. */
const network = (at: number): string => `2001:db8:1:${at.toString(16)}::1`;

describeEachDatabase("the codes of a second factor", (_dialect, open) => {
  const start = async () => {
    const access = await openTestAccess(await open([accessMigrations]));
    const { secondFactors, clock } = access;
    const enrolled = async (name: string) => {
      const account = await access.addAccount(name, "a password of theirs");
      const key = fromBase32(await access.change(({ tx }) => secondFactors.enrol(tx, account)));
      const code = (): string => codeOf(key, Math.floor(clock.now() / stepMs));
      const [recoveryCode = ""] = await access.change(({ tx }) => secondFactors.confirm(tx, account, code()));
      clock.advance(stepMs);
      return { account, code, recoveryCode };
    };
    return { access, secondFactors, ann: await enrolled("ann"), bob: await enrolled("bob") };
  };
  test("are not tried out from many networks, by whoever has the password", async () => {
    const { access, secondFactors, ann, bob } = await start();
    for (let at = 0; at < mostFailuresOfProven; at++)
      expect(await secondFactors.use(ann.account, "no code", network(at))).toBe(false);
    const elsewhere = "192.0.2.1";
    for (const right of [ann.code(), ann.recoveryCode])
      expect(await problemOf(secondFactors.use(ann.account, right, elsewhere))).toMatchObject({
        code: "TOO_MANY_REQUESTS",
      });
    expect(await secondFactors.use(bob.account, bob.code(), elsewhere)).toBe(true);
    access.clock.advance(15 * 60_000);
    expect(await secondFactors.use(ann.account, ann.code(), elsewhere)).toBe(true);
  });

  test("are not tried out from many networks at once, nor begin anew with one that is right", async () => {
    const { secondFactors, ann } = await start();
    for (let at = 0; at < mostFailuresOfProven - 5; at++)
      expect(await secondFactors.use(ann.account, "no code", network(at))).toBe(false);
    expect(await secondFactors.use(ann.account, ann.code(), network(0))).toBe(true);
    const all = await Promise.all(
      Array.from({ length: 20 }, async (_, at) =>
        secondFactors.use(ann.account, "no code", network(100 + at)).catch(() => "refused" as const),
      ),
    );
    expect(all.filter((one) => one === false).length).toBeLessThanOrEqual(5);
    expect(all).not.toContain(true);
  });
});
