import { expect, setDefaultTimeout, test } from "bun:test";
import { openTestAccess, problemOf, realPasswords, type TestAccess } from "../../test/support/access.ts";
import { describeEachDatabase } from "../../test/support/databases.ts";
import { changePassword, deleteAccount, setDisabled } from "./accounts.ts";
import { accessMigrations } from "./migrations.ts";
import { mostFailuresOfPair } from "./sign-in-failures.ts";

/** Passwords and databases are slow on a busy machine. */
setDefaultTimeout(30_000);

const home = "192.0.2.1";
const elsewhere = "192.0.2.2";
const right = "correct horse";

const signInFrom =
  (remoteAddress: string) =>
  (access: TestAccess, name: string, password: string): Promise<string> =>
    access.verifyPassword({ name, password, remoteAddress }).then(({ kind }) => kind);
const signIn = signInFrom(home);

describeEachDatabase("passwordVerifier", (_dialect, open) => {
  const start = async (): Promise<TestAccess> => {
    const access = await openTestAccess(await open([accessMigrations]));
    await access.addAccount("ann", right);
    return access;
  };

  test("tells the right password from all others, under any spelling of the name", async () => {
    const access = await start();
    expect(await signIn(access, "ann", right)).toBe("account");
    expect(await signIn(access, " ANN ", right)).toBe("account");
    expect(await signIn(access, "ann", `${right} `)).toBe("refused");
    expect(await signIn(access, "bob", right)).toBe("refused");
    expect(await signIn(access, "not a name", right)).toBe("refused");
  });

  test("every character of a long password counts", async () => {
    const access = await start();
    const long = "ä".repeat(80);
    await access.addAccount("bob", `${long}a`);
    expect(await signIn(access, "bob", `${long}b`)).toBe("refused");
    expect(await signIn(access, "bob", long)).toBe("refused");
    expect(await signIn(access, "bob", `${long}a`)).toBe("account");
  });

  test("an empty or oversized password costs no hash and no count", async () => {
    const access = await start();
    for (let attempt = 0; attempt <= mostFailuresOfPair; attempt += 1) {
      expect(await signIn(access, "ann", "")).toBe("malformed");
      expect(await signIn(access, "ann", "x".repeat(1024 * 1024))).toBe("malformed");
    }
    expect(access.passwords.verified()).toBe(0);
    expect(await signIn(access, "ann", right)).toBe("account");
  });

  test("a right password is hashed once, then remembered for five minutes", async () => {
    const access = await start();
    for (let attempt = 0; attempt < 20; attempt += 1) expect(await signIn(access, "ann", right)).toBe("account");
    expect(access.passwords.verified()).toBe(1);
    access.clock.advance(5 * 60_000);
    expect(await signIn(access, "ann", right)).toBe("account");
    expect(access.passwords.verified()).toBe(2);
  });

  test("many who send the same at once share one hash", async () => {
    const access = await start();
    const kinds = await Promise.all(Array.from({ length: 30 }, () => signIn(access, "ann", right)));
    expect(new Set(kinds)).toEqual(new Set(["account"]));
    expect(access.passwords.verified()).toBe(1);
  });

  test("a wrong password is hashed each time, remembered or not", async () => {
    const access = await start();
    await signIn(access, "ann", right);
    for (let attempt = 0; attempt < 3; attempt += 1) await signIn(access, "ann", "wrong");
    expect(access.passwords.verified()).toBe(4);
  });

  test("a changed password, a disabled and a replaced account count with the next request", async () => {
    const access = await start();
    const { id } = await access.addAccount("bob", right);
    expect(await signIn(access, "bob", right)).toBe("account");
    const passwordHash = await access.passwords.hash("another one");
    await access.change(({ tx }) => changePassword(tx, { id, passwordHash, changedAt: 1 }));
    expect(await signIn(access, "bob", right)).toBe("refused");
    expect(await signIn(access, "bob", "another one")).toBe("account");
    await access.change(({ tx }) => setDisabled(tx, id, true));
    expect(await signIn(access, "bob", "another one")).toBe("refused");
    await access.change(({ tx }) => setDisabled(tx, id, false));
    expect(await signIn(access, "bob", "another one")).toBe("account");
    await access.change(({ tx }) => deleteAccount(tx, id));
    await access.addAccount("bob", "a third one");
    expect(await signIn(access, "bob", "another one")).toBe("refused");
  });

  test("failures have one counter for all spellings; another network is not locked out", async () => {
    const access = await start();
    const spellings = ["ann", "Ann", "ANN ", " ann"];
    for (let attempt = 0; attempt < mostFailuresOfPair; attempt += 1) {
      expect(await signIn(access, spellings[attempt % 4] ?? "", `wrong ${String(attempt)}`)).toBe("refused");
    }
    const hashes = access.passwords.verified();
    const problem = await problemOf(signIn(access, "aNN", "wrong"));
    expect(problem).toMatchObject({ code: "TOO_MANY_REQUESTS", retryAfterSeconds: 15 * 60 });
    expect(await problemOf(signIn(access, "ann", right))).toMatchObject({ code: "TOO_MANY_REQUESTS" });
    expect(access.passwords.verified()).toBe(hashes);
    expect(await signInFrom(elsewhere)(access, "ann", right)).toBe("account");
    expect(await problemOf(signIn(access, "ann", right))).toMatchObject({ code: "TOO_MANY_REQUESTS" });
    access.clock.advance(15 * 60_000);
    expect(await signIn(access, "ann", right)).toBe("account");
  });

  test("guesses that run at once do not pass the limit together", async () => {
    const access = await start();
    const guesses = Array.from({ length: 30 }, (_, index) => signIn(access, "ann", `wrong ${String(index)}`));
    const outcomes = await Promise.allSettled(guesses);
    const answered = outcomes.filter(({ status }) => status === "fulfilled").length;
    expect(answered).toBeLessThanOrEqual(mostFailuresOfPair);
    expect(access.passwords.verified()).toBe(answered);
    // Near the limit one more may be told to wait for those under way; what is left of it is there afterwards.
    for (let left = mostFailuresOfPair - answered; left > 0; left -= 1) {
      expect(await signIn(access, "ann", "wrong")).toBe("refused");
    }
    expect(await problemOf(signIn(access, "ann", right))).toMatchObject({ retryAfterSeconds: 15 * 60 });
    expect(access.passwords.verified()).toBe(mostFailuresOfPair);
  });

  test("success clears the count of the account in its network", async () => {
    const access = await start();
    for (let round = 0; round < 3; round += 1) {
      for (let attempt = 0; attempt < mostFailuresOfPair - 1; attempt += 1) await signIn(access, "ann", "wrong");
      expect(await signIn(access, "ann", right)).toBe("account");
    }
  });

  test("an account that does not exist is answered and counted as one that does", async () => {
    const access = await start();
    for (const name of ["ann", "nobody", "../etc/passwd"]) {
      for (let attempt = 0; attempt < mostFailuresOfPair; attempt += 1) {
        expect(await signIn(access, name, "wrong")).toBe("refused");
      }
      expect(await problemOf(signIn(access, name, "wrong"))).toEqual({
        code: "TOO_MANY_REQUESTS",
        reason: "too many failed sign-ins",
        retryAfterSeconds: 15 * 60,
      });
    }
  });

  test("an account that does not exist takes as long as one that does", async () => {
    const access = await openTestAccess(await open([accessMigrations]), "standard", { usedPasswords: realPasswords() });
    await access.addAccount("ann", right);
    const times = { known: [] as number[], unknown: [] as number[] };
    for (let round = 0; round < 20; round += 1) {
      const kinds = round % 2 === 0 ? (["known", "unknown"] as const) : (["unknown", "known"] as const);
      for (const kind of kinds) {
        const started = performance.now();
        await signInFrom(`192.0.2.${String(round)}`)(access, kind === "known" ? "ann" : "nobody", "wrong");
        times[kind].push(performance.now() - started);
      }
    }
    // A hash that is left out makes it twenty times quicker; of a busy machine the quickest of many counts.
    const ratio = Math.min(...times.unknown) / Math.min(...times.known);
    expect(ratio).toBeGreaterThan(0.4);
    expect(ratio).toBeLessThan(2.5);
  });
});
