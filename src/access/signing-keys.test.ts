import { expect, setDefaultTimeout, test } from "bun:test";
import { calculateJwkThumbprint } from "jose";
import { openTestAccess, testClock, testSecret } from "../../test/support/access.ts";
import { describeEachDatabase } from "../../test/support/databases.ts";
import type { Database } from "../platform/database/database.ts";
import { ConfigError } from "../platform/config/load-config.ts";
import { accessMigrations } from "./migrations.ts";
import { seal, unseal } from "./sealed-text.ts";
import { openSigningKeys, type SigningKeysDeps } from "./signing-keys.ts";

/** Passwords and databases are slow on a busy machine. */
setDefaultTimeout(30_000);

const minuteMs = 60_000;
const tokenLifetimeMs = 6 * minuteMs;
const key = testSecret();

test("what is sealed opens with its key, in its context, unchanged", () => {
  const sealed = seal(key, "here", "secret text");
  expect(sealed).not.toContain("secret");
  expect(seal(key, "here", "secret text")).not.toBe(sealed);
  expect(unseal(key, "here", sealed)).toBe("secret text");
  expect(unseal(key, "there", sealed)).toBeUndefined();
  expect(unseal(testSecret("fedcba9876543210fedcba9876543210"), "here", sealed)).toBeUndefined();
  const bytes = Buffer.from(sealed, "base64url");
  for (let at = 0; at < bytes.length; at += 1) {
    const changed = Buffer.from(bytes);
    changed[at] = (changed[at] ?? 0) ^ 1;
    expect(unseal(key, "here", changed.toString("base64url"))).toBeUndefined();
  }
  expect(unseal(key, "here", "")).toBeUndefined();
});

const kids = (published: { readonly keys: readonly { kid?: string }[] }): (string | undefined)[] =>
  published.keys.map(({ kid }) => kid);

const stored = async (database: Database): Promise<string> =>
  JSON.stringify(await database.read.selectFrom("signing_keys").selectAll().execute());

describeEachDatabase("openSigningKeys", (_dialect, open) => {
  const start = async () => {
    const database = await open([accessMigrations]);
    const clock = testClock();
    const deps: SigningKeysDeps = { database, key, now: clock.now, tokenLifetimeMs };
    return { database, clock, deps, keys: await openSigningKeys(deps) };
  };

  test("the first start makes a key, later ones and replicas find it", async () => {
    const { deps, keys } = await start();
    const { kid } = await keys.current();
    expect((await (await openSigningKeys(deps)).current()).kid).toBe(kid);
  });

  test("of many that start at once, one makes it", async () => {
    const database = await open([accessMigrations]);
    const deps = { database, key, now: testClock().now, tokenLifetimeMs };
    const replicas = await Promise.all(Array.from({ length: 5 }, () => openSigningKeys(deps)));
    const used = await Promise.all(replicas.map(async (replica) => (await replica.current()).kid));
    expect(new Set(used).size).toBe(1);
  });

  test("publishes public keys under their thumbprint, and nothing private", async () => {
    const { database, keys } = await start();
    const { kid } = await keys.current();
    const [published, ...more] = (await keys.published()).keys;
    expect(more).toEqual([]);
    expect(published).toEqual({
      kty: "EC",
      crv: "P-256",
      x: expect.any(String),
      y: expect.any(String),
      kid,
      alg: "ES256",
      use: "sig",
    });
    expect(published && (await calculateJwkThumbprint(published))).toBe(kid);
    expect(await stored(database)).not.toContain('\\"d\\"');
  });

  test("another secret does not start", async () => {
    const { deps } = await start();
    const other = { ...deps, key: testSecret("fedcba9876543210fedcba9876543210") };
    const failure = await openSigningKeys(other).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(ConfigError);
    expect(String(failure)).toContain("secret: ");
  });

  test("a rotated key is published before it signs, and the old one until its tokens have run out", async () => {
    const { clock, keys } = await start();
    const old = (await keys.current()).kid;
    const { kid: next, activeFrom } = await keys.rotate();
    expect(next).not.toBe(old);
    expect(activeFrom - clock.now()).toBeGreaterThanOrEqual(10 * minuteMs);
    expect(kids(await keys.published())).toEqual([next, old]);
    expect((await keys.current()).kid).toBe(old);
    expect((await keys.rotate()).kid).toBe(next);

    clock.advance(activeFrom - clock.now());
    expect((await keys.current()).kid).toBe(next);
    clock.advance(tokenLifetimeMs);
    expect(await keys.publicKey(old)).toBeDefined();
    clock.advance(minuteMs);
    expect(await keys.publicKey(old)).toBeUndefined();
    expect(kids(await keys.published())).toEqual([next]);
  });

  test("another replica learns of the next key before it is used", async () => {
    const { clock, deps, keys } = await start();
    const replica = await openSigningKeys(deps);
    const { kid, activeFrom } = await keys.rotate();
    clock.advance(1000);
    expect(await replica.publicKey(kid)).toBeDefined();
    const late = await openSigningKeys(deps);
    clock.advance(activeFrom - clock.now());
    expect([(await late.current()).kid, (await replica.current()).kid]).toEqual([kid, kid]);
  });

  test("two that rotate at once make one key; old ones leave the table", async () => {
    const { database, clock, deps, keys } = await start();
    const replica = await openSigningKeys(deps);
    const [one, two] = await Promise.all([keys.rotate(), replica.rotate()]);
    expect(one.kid).toBe(two.kid);
    for (let round = 0; round < 3; round += 1) {
      clock.advance(60 * minuteMs);
      await keys.rotate();
    }
    expect(JSON.parse(await stored(database))).toHaveLength(2);
  });

  test("names of keys that a stranger makes up are not ours", async () => {
    const { keys } = await start();
    for (const kid of ["", "../../dev/null", "' OR 1=1 --", "__proto__", "x".repeat(10_000)]) {
      expect(await keys.publicKey(kid)).toBeUndefined();
    }
  });
});

describeEachDatabase("tokens over a rotation", (_dialect, open) => {
  test("no token fails while keys change under load", async () => {
    const access = await openTestAccess(await open([accessMigrations]));
    const account = await access.addAccount("ann", "correct horse");
    let live: { readonly token: string; readonly diesAt: number }[] = [];
    await access.signingKeys.rotate();
    for (let minute = 0; minute < 40; minute += 1) {
      const { token } = await access.tokens.issue(account, []);
      live.push({ token, diesAt: access.clock.now() + 5 * minuteMs });
      live = live.filter(({ diesAt }) => diesAt > access.clock.now());
      const callers = await Promise.all(live.map((one) => access.tokens.verify(one.token)));
      expect(callers.every((caller) => caller?.principal.kind === "account")).toBe(true);
      access.clock.advance(minuteMs);
    }
  });
});
