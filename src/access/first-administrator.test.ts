import { afterEach, beforeEach, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { countedPasswords, openTestAccess } from "../../test/support/access.ts";
import { describeEachDatabase } from "../../test/support/databases.ts";
import { ConfigError } from "../platform/config/load-config.ts";
import { ensureFirstAdministrator, type FirstAdministratorDeps, initialPasswordPath } from "./first-administrator.ts";
import { accessMigrations } from "./migrations.ts";

/** Passwords and databases are slow on a busy machine. */
setDefaultTimeout(30_000);

const remoteAddress = "192.0.2.1";

describeEachDatabase("ensureFirstAdministrator", (_dialect, open) => {
  let dataFolder = "";
  beforeEach(async () => {
    dataFolder = await mkdtemp(join(tmpdir(), "berth-admin-"));
  });
  afterEach(() => rm(dataFolder, { recursive: true, force: true }));
  const start = async (): Promise<FirstAdministratorDeps> => ({
    database: await open([accessMigrations]),
    passwords: countedPasswords(),
    dataFolder,
    now: () => 1,
  });

  test("makes admin with a random password that a private file keeps", async () => {
    const deps = await start();
    const made = await ensureFirstAdministrator(deps, undefined);
    if (made.kind !== "created-with-password") throw new Error(made.kind);
    expect(made.password.length).toBeGreaterThanOrEqual(24);
    expect(made.path).toBe(initialPasswordPath(dataFolder));
    expect(await readFile(made.path, "utf8")).toBe(`${made.password}\n`);
    expect((await stat(made.path)).mode & 0o777).toBe(0o600);
    const access = await openTestAccess(deps.database);
    const verified = await access.verifyPassword({ name: "admin", password: made.password, remoteAddress });
    expect(verified).toMatchObject({ kind: "account", account: { name: "admin" } });
  });

  test("no password that anyone could know opens a new instance", async () => {
    const deps = await start();
    await ensureFirstAdministrator(deps, undefined);
    const access = await openTestAccess(deps.database);
    for (const password of ["admin", "password", "Harbor12345", "berth", "changeme"]) {
      expect(await access.verifyPassword({ name: "admin", password, remoteAddress })).toEqual({ kind: "refused" });
    }
  });

  test("a later start changes nothing, whatever password it is given", async () => {
    const deps = await start();
    expect(await ensureFirstAdministrator(deps, "first password")).toEqual({ kind: "created", name: "admin" });
    expect(await readdir(dataFolder)).toEqual([]);
    expect(await ensureFirstAdministrator(deps, "second password")).toEqual({ kind: "exists" });
    expect(await ensureFirstAdministrator(deps, undefined)).toEqual({ kind: "exists" });
    expect(await readdir(dataFolder)).toEqual([]);
    const access = await openTestAccess(deps.database);
    const signIn = (password: string): Promise<unknown> =>
      access.verifyPassword({ name: "admin", password, remoteAddress });
    expect(await signIn("first password")).toMatchObject({ kind: "account" });
    expect(await signIn("second password")).toEqual({ kind: "refused" });
  });

  test("of many that start at once, one makes it, and knows its password", async () => {
    const deps = await start();
    const starts = Array.from({ length: 4 }, async () => {
      const own = await mkdtemp(join(dataFolder, "replica-"));
      return ensureFirstAdministrator({ ...deps, dataFolder: own }, undefined);
    });
    const outcomes = await Promise.all(starts);
    const [made, ...more] = outcomes.filter((outcome) => outcome.kind === "created-with-password");
    expect(more).toEqual([]);
    const access = await openTestAccess(deps.database);
    const verified = await access.verifyPassword({ name: "admin", password: made?.password ?? "", remoteAddress });
    expect(verified.kind).toBe("account");
    const files = await readdir(dataFolder, { recursive: true });
    expect(files.filter((file) => file.includes("initial-admin-password"))).toHaveLength(1);
  });

  test("the file of a start that broke off is replaced", async () => {
    await writeFile(initialPasswordPath(dataFolder), "of an account that never was\n");
    const made = await ensureFirstAdministrator(await start(), undefined);
    expect(made.kind).toBe("created-with-password");
    expect(await readFile(initialPasswordPath(dataFolder), "utf8")).not.toContain("never was");
  });

  test("a weak configured password stops the start, and makes no account", async () => {
    const deps = await start();
    for (const password of ["", " ", "short", "        ", "x".repeat(1025)]) {
      const failure = await ensureFirstAdministrator(deps, password).catch((error: unknown) => error);
      expect(failure).toBeInstanceOf(ConfigError);
      expect(String(failure)).toContain("BERTH_ADMIN_PASSWORD: ");
    }
    expect((await ensureFirstAdministrator(deps, undefined)).kind).toBe("created-with-password");
  });
});
