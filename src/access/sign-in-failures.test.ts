import { expect, setDefaultTimeout, test } from "bun:test";
import { testClock, testSecret } from "../../test/support/access.ts";
import { describeEachDatabase } from "../../test/support/databases.ts";
import { deriveKey } from "./instance-secret.ts";
import { accessMigrations } from "./migrations.ts";
import { type Attempt, createSignInFailures, mostFailuresOfNetwork } from "./sign-in-failures.ts";

/** Passwords and databases are slow on a busy machine. */
setDefaultTimeout(30_000);

const attempt = (index: number): Attempt => ({
  name: `user${String(index)}`,
  remoteAddress: `2001:db8::${index.toString(16)}`,
});

describeEachDatabase("createSignInFailures", (_dialect, open) => {
  const key = deriveKey(testSecret(), "test");

  test("a network is stopped over many accounts, an IPv6 network as a whole", async () => {
    const failures = createSignInFailures({ database: await open([accessMigrations]), key, now: testClock().now });
    for (let index = 0; index < mostFailuresOfNetwork; index += 1) {
      expect((await failures.count(attempt(index))).blockedForSeconds).toBe(0);
      await failures.record(attempt(index));
    }
    expect((await failures.count(attempt(1000))).blockedForSeconds).toBe(15 * 60);
    expect((await failures.count({ name: "user1", remoteAddress: "2001:db8:1::1" })).blockedForSeconds).toBe(0);
  });

  test("rows are bounded, run out, and hold no name", async () => {
    const database = await open([accessMigrations]);
    const clock = testClock();
    const failures = createSignInFailures({ database, key, now: clock.now, mostRows: 40 });
    const rows = (): Promise<readonly { key: string }[]> =>
      database.read.selectFrom("login_failures").select("key").execute();
    for (let index = 0; index < 129; index += 1) {
      await failures.record({ name: "hunter2", remoteAddress: `10.0.0.${String(index)}` });
      clock.advance(1);
    }
    const kept = await rows();
    expect(kept).toHaveLength(40);
    expect(JSON.stringify(kept)).not.toContain("hunter2");
    const last = await failures.count({ name: "hunter2", remoteAddress: "10.0.0.128" });
    expect(last.pairFailures).toBe(1);
    clock.advance(15 * 60_000);
    await failures.record({ name: "x", remoteAddress: "10.0.0.1" });
    expect(await rows()).toHaveLength(2);
  });

  test("many failures at once are all counted", async () => {
    const failures = createSignInFailures({ database: await open([accessMigrations]), key, now: testClock().now });
    await Promise.all(Array.from({ length: 8 }, () => failures.record(attempt(1))));
    expect((await failures.count(attempt(1))).pairFailures).toBe(8);
  });
});
