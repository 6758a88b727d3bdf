import { expect, it } from "bun:test";
import { describeEachDatabase } from "../../test/support/databases.ts";
import {
  chunks,
  countRows,
  endLeases,
  leasesOf,
  repositoryName,
  storeBlob,
  testRegistry,
  testSettings,
} from "../../test/support/registry.ts";
import { clockWatch } from "./clock-watch.ts";
import { collect } from "./collect.ts";
import { registryMigrations } from "./migrations.ts";
import type { Registry } from "./registry.ts";
import { appendUpload } from "./uploads/append-upload.ts";
import { startUpload } from "./uploads/start-upload.ts";

const app = repositoryName("team/app");
const owner = { repository: app, principal: "tester" };
const minuteMs = 60_000;
const dayMs = 24 * 60 * minuteMs;

/** A clock that nobody sets, in the hand of the test. */
function steadyClock() {
  let at = 1_000_000;
  return { read: () => at, pass: (ms: number) => void (at += ms) };
}

it("tells a clock that is set from one that drifts, and from a machine that was busy or asleep", () => {
  const steady = steadyClock();
  let told = 0;
  const watch = clockWatch({ steadyMs: steady.read, onSet: (ms) => void (told = ms) });
  let now = 5_000_000;
  const pass = (ms: number, setBy = 0): number => {
    steady.pass(ms);
    now += ms + setBy;
    told = 0;
    watch.look(now);
    return told;
  };
  expect(pass(0)).toBe(0);
  expect(pass(minuteMs, 3000)).toBe(0);
  expect(pass(3 * dayMs, -3000)).toBe(0);
  expect(watch.hasRested(dayMs)).toBe(true);
  expect(pass(minuteMs, 10 * minuteMs)).toBe(10 * minuteMs);
  expect([watch.hasRested(0), watch.hasRested(dayMs)]).toEqual([false, false]);
  expect(pass(dayMs / 2)).toBe(0);
  expect([watch.hasRested(minuteMs), watch.hasRested(dayMs)]).toEqual([true, false]);
  expect(pass(minuteMs, -dayMs)).toBe(-dayMs);
  expect(pass(dayMs / 2)).toBe(0);
  expect(watch.hasRested(dayMs)).toBe(true);
});

/** What is a clock set forward to the rows: all of their times lie further back. */
const setForward = async ({ database }: Registry, ms: number): Promise<void> =>
  database.write(async (tx) => {
    await tx
      .updateTable("repository_blobs")
      .set((eb) => ({ leased_until: eb("leased_until", "-", ms) }))
      .where("leased_until", "<", Number.MAX_SAFE_INTEGER)
      .execute();
    await tx
      .updateTable("uploads")
      .set((eb) => ({
        started_at: eb("started_at", "-", ms),
        active_at: eb("active_at", "-", ms),
        held_until: eb("held_until", "-", ms),
      }))
      .execute();
    await tx
      .updateTable("doomed_blobs")
      .set((eb) => ({ delete_after: eb("delete_after", "-", ms) }))
      .execute();
  });

describeEachDatabase("a clock that is set", (_dialect, open) => {
  async function start(parts: Partial<Registry> = {}) {
    const steady = steadyClock();
    const registry = testRegistry(await open([registryMigrations]), {
      clockWatch: clockWatch({ steadyMs: steady.read }),
      ...parts,
    });
    await collect(registry);
    return { registry, steady };
  }
  for (const setBy of [10 * minuteMs, dayMs]) {
    it(`forward by ${setBy / minuteMs} minutes ends no lease, no upload and no delay before its time`, async () => {
      const settings = {
        ...testSettings,
        leaseMs: 5 * minuteMs,
        deleteDelayMs: 5 * minuteMs,
        uploads: { ...testSettings.uploads, idleMs: 5 * minuteMs },
      };
      const { registry, steady } = await start({ settings });
      await storeBlob(registry, app, "fresh");
      await storeBlob(registry, app, "fresh too");
      await registry.database.write((tx) =>
        tx
          .insertInto("doomed_blobs")
          .values({ blob_key: "0".repeat(32), delete_after: Date.now() + 1000 })
          .execute(),
      );
      await startUpload(registry, { ...owner, algorithm: "sha256" });
      const before = await countRows(registry);
      // The other way round to the watch: the database's clock stays, and so the steady one goes back.
      steady.pass(-setBy);
      await setForward(registry, setBy);
      await collect(registry);
      steady.pass(4 * minuteMs);
      await collect(registry);
      expect(registry.clockWatch.hasRested(5 * minuteMs)).toBe(false);
      expect(await countRows(registry)).toEqual(before);
      steady.pass(2 * minuteMs);
      // What is two minutes more to the steady clock than to the other is no forward jump.
      await collect(registry);
      expect(await countRows(registry)).toMatchObject({ blobs: 0, uploads: 0 });
    });
  }

  it("without a watch over it would take fresh blobs", async () => {
    const { registry } = await start();
    await storeBlob(registry, app, "fresh");
    await setForward(registry, dayMs);
    await collect(registry);
    expect(await countRows(registry)).toMatchObject({ blobs: 0 });
  });

  it("back leaves no lease, no hold and no upload that lasts longer than a new one", async () => {
    const { registry } = await start();
    const digest = await storeBlob(registry, app, "old");
    const id = await startUpload(registry, { ...owner, algorithm: "sha256" });
    const far = Date.now() + 10 * dayMs;
    await registry.database.write(async (tx) => {
      await tx.updateTable("repository_blobs").set({ leased_until: far }).execute();
      const session = { holder: "a dead server's", held_until: far, started_at: far, active_at: far };
      await tx.updateTable("uploads").set(session).execute();
    });
    await collect(registry);
    const lease = (await leasesOf(registry, app))[digest] ?? 0;
    expect(lease).toBeWithin(testSettings.leaseMs - minuteMs, testSettings.leaseMs + minuteMs);
    const upload = await registry.database.read.selectFrom("uploads").selectAll().executeTakeFirstOrThrow();
    expect(upload.held_until).toBeWithin(Date.now(), Date.now() + 2 * testSettings.uploads.holdMs);
    for (const at of [upload.started_at, upload.active_at]) {
      expect(at).toBeWithin(Date.now() - minuteMs, Date.now() + minuteMs);
    }
    await registry.database.write((tx) => tx.updateTable("uploads").set({ held_until: 1 }).execute());
    const whole = { start: 0, chunks: chunks("bytes"), lengthBytes: 5 };
    expect(await appendUpload(registry, { ...owner, id }, whole)).toMatchObject({ size: 5 });
    await endLeases(registry);
    expect(await collect(registry)).toMatchObject({ memberships: 1 });
  });
});
