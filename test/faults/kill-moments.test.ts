import { Database } from "bun:sqlite";
import { afterAll, beforeAll, expect, test } from "bun:test";
import { randomBytes } from "node:crypto";
import { cp, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pushBlob, pushImage, startUpload } from "../protocol/content.ts";
import { basic, type Registry, registryOf } from "../protocol/registry-client.ts";
import { requirement } from "../support/requirement.ts";
import { startServer } from "../support/server.ts";
import { runCheck } from "./run-check.ts";
import { missingForFaults } from "./shim/faulty-server.ts";
import { buildKiller, type Killer } from "./shim/killed-command.ts";

const serve = (data: string): readonly string[] => ["serve", "--addr", "127.0.0.1:0", "--data", data];
const listening = '"listening"';
const eager = {
  BERTH_COLLECT_INTERVAL_SECONDS: "1",
  BERTH_COLLECT_LEASE_SECONDS: "1",
  BERTH_UPLOADS_IDLE_SECONDS: "1",
};

/** Statuses of the base for these passwords of `admin`: 200 or 401. */
const signIns = (registry: Registry, passwords: readonly string[]): Promise<readonly number[]> =>
  Promise.all(
    passwords.map(async (password) => (await registry.as(basic("admin", password)).send("GET", "/v2/")).status),
  );

requirement("a kill at any call that changes a file", missingForFaults(), () => {
  let folder = "";
  let killer: Killer | undefined;
  const kill: Killer["run"] = (command) => {
    if (killer === undefined) throw new Error("there is a killer while tests run only");
    return killer.run(command);
  };
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "berth-moments-"));
    killer = await buildKiller();
  }, 60_000);
  afterAll(async () => {
    await killer?.[Symbol.asyncDispose]();
    await rm(folder, { recursive: true, force: true });
  });

  test("of the first start leaves an account whose password is in its file, or none, also twice in a row", async () => {
    // The schema is made on the way, so this is a kill in the middle of a migration too.
    let calls = 1;
    let killed = 0;
    for (; ; calls *= 2) {
      const data = join(folder, `first-${String(calls)}`);
      const isKilled = await kill({ args: serve(data), data, call: calls, until: listening });
      if (!isKilled) break;
      killed += 1;
      await kill({ args: serve(data), data, call: 1 + Math.floor(Math.random() * 40), until: listening });
      await using server = await startServer({ data, env: { BERTH_ADMIN_PASSWORD: undefined } });
      const password = (await readFile(join(data, "initial-admin-password"), "utf8")).trim();
      const registry = registryOf(server);
      expect(await signIns(registry, [password])).toEqual([200]);
      await pushImage(registry.as(basic("admin", password)), "acme/first", { tag: "v1" });
      await rm(data, { recursive: true });
      if (calls > 100_000) throw new Error("the first start does not come to its end");
    }
    expect(killed).toBeGreaterThan(8);
  }, 600_000);

  test("of `berth user password` leaves the old password or the new one", async () => {
    const whole = join(folder, "password");
    const old = await startServer({ data: whole });
    await old.stop();
    const next = "another-long-password-of-mine";
    const seen = new Set<string>();
    for (let call = 1; ; call += 3) {
      expect(call).toBeLessThan(200);
      const data = join(folder, `password-${String(call)}`);
      await cp(whole, data, { recursive: true });
      const args = ["user", "password", "admin", "--data", data];
      const isKilled = await kill({ args, data, call, input: `${next}\n` });
      await using server = await startServer({ data });
      const found = await signIns(registryOf(server), [server.admin.password, next]);
      expect([
        [200, 401],
        [401, 200],
      ]).toContainEqual([...found]);
      seen.add(found.join());
      await server.stop();
      await rm(data, { recursive: true });
      if (!isKilled) {
        expect(found).toEqual([401, 200]);
        break;
      }
    }
    // The kills came before and behind the change.
    expect(seen.size).toBe(2);
  }, 600_000);

  test("of a collection leaves every image whole, and the next one ends what it began", async () => {
    const data = join(folder, "collected");
    let tags = 0;
    const makeGarbage = async (): Promise<void> => {
      await using server = await startServer({ data });
      const registry = registryOf(server);
      tags += 1;
      await pushImage(registry, "acme/kept", { tag: `v${String(tags)}` });
      const gone = await pushImage(registry, "acme/gone", { tag: "v1" });
      await pushBlob(registry, "acme/unnamed", randomBytes(1000));
      const location = await startUpload(registry, "acme/idle");
      await registry.send("PATCH", location, { body: randomBytes(1000) });
      await registry.send("DELETE", `/v2/acme/gone/manifests/${gone.digest}`);
      await server.stop("SIGKILL");
    };
    let killed = 0;
    for (const call of [3, 8, 13, 18, 24, 30, 37]) {
      await makeGarbage();
      // Past its lease and its time, so that the first collection has all of it to do.
      await Bun.sleep(1100);
      if (await kill({ args: serve(data), data, call, env: eager, until: '"collected"' })) killed += 1;
    }
    expect(killed).toBeGreaterThan(3);
    await using server = await startServer({ data, env: eager });
    const deadline = Date.now() + 60_000;
    const isOver = async (): Promise<boolean> => garbageIn(data) === 0 && (await runCheck(data)).exitCode === 0;
    while (!(await isOver()) && Date.now() < deadline) await Bun.sleep(300);
    expect([garbageIn(data), (await runCheck(data)).findings]).toEqual([0, []]);
    for (let tag = 1; tag <= tags; tag++) {
      const { status, json } = await registryOf(server).send("GET", `/v2/acme/kept/manifests/v${String(tag)}`);
      expect(status).toBe(200);
      const { config, layers } = json() as { config: { digest: string }; layers: readonly { digest: string }[] };
      for (const { digest } of [config, ...layers]) {
        expect((await registryOf(server).send("GET", `/v2/acme/kept/blobs/${digest}`)).status).toBe(200);
      }
    }
  }, 600_000);
});

/** Uploads, and blobs that no manifest needs, which the database still knows. */
function garbageIn(data: string): number {
  const database = new Database(join(data, "berth.sqlite"), { readonly: true });
  const { count } = database
    .query(
      `select (select count(*) from uploads) + (
         select count(*) from repository_blobs join repositories on repositories.id = repository_id
         where name in ('acme/unnamed', 'acme/gone')) as count`,
    )
    .get() as { count: number };
  database.close();
  return count;
}
