import { expect, it } from "bun:test";
import { describeEachDatabase } from "../../../test/support/databases.ts";
import type { Database } from "../database/database.ts";
import type { Log } from "../telemetry/log.ts";
import { listJobs, releaseJobs, requestJob, takeJob } from "./job-queue.ts";
import { jobMigrations } from "./migrations.ts";
import { type Job, type JobSettings, runJobs } from "./run-jobs.ts";

const settings: JobSettings = { pollMs: 5, leaseMs: 60_000, mostRestMs: 20 };

const nothing = (): void => undefined;

/** Tells what was logged as an error. */
function errorLog(): { readonly log: Log; readonly errors: string[] } {
  const errors: string[] = [];
  const log: Log = {
    debug: nothing,
    info: nothing,
    warn: nothing,
    error: (event, error) => errors.push(`${event}: ${error instanceof Error ? error.message : String(error)}`),
    flush: nothing,
    drain: async () => undefined,
    flushSync: nothing,
  };
  return { log, errors };
}

async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 15_000;
  while (!(await holds())) {
    if (Date.now() > deadline) throw new Error("it did not come to pass");
    await Bun.sleep(5);
  }
}

const rowOf = async (database: Database, name: string) => (await listJobs(database)).find((job) => job.name === name);

describeEachDatabase("jobs", (_dialect, open) => {
  it("are run again and again, by one process at a time", async () => {
    const database = await open([jobMigrations]);
    let now = 0;
    let most = 0;
    let runs = 0;
    const job: Job = {
      name: "work",
      everyMs: 1,
      async run({ progress }) {
        most = Math.max(most, ++now);
        await Bun.sleep(3);
        now -= 1;
        progress(`${String(++runs)} done`);
      },
    };
    const { log, errors } = errorLog();
    const stops = [1, 2, 3].map(() => runJobs({ database, log }, [job], settings));
    await until(() => runs >= 8);
    await Promise.all(stops.map((stop) => stop()));
    expect({ most, now, errors }).toEqual({ most: 1, now: 0, errors: [] });
    const row = await rowOf(database, "work");
    expect([row?.runs, row?.progress, row?.failed_runs, row?.error]).toEqual([runs, `${String(runs)} done`, 0, null]);
    expect(row?.state).not.toBe("running");
  });

  it("of a process that gives no sign of life are taken over; of one that does, not", async () => {
    const database = await open([jobMigrations]);
    const { log } = errorLog();
    let runs = 0;
    const job: Job = { name: "work", everyMs: 1, run: async () => void (runs += 1) };
    await runJobs({ database, log }, [{ ...job, hasWork: async () => false }], settings)();
    await database.write((tx) => requestJob(tx, database, "work"));
    expect(await takeJob(database, { name: "work", holder: "alive", leaseMs: 60_000 })).toBe(true);
    expect(await takeJob(database, { name: "work", holder: "other", leaseMs: 60_000 })).toBe(false);
    expect((await rowOf(database, "work"))?.state).toBe("running");
    const stop = runJobs({ database, log }, [job], settings);
    await Bun.sleep(50);
    expect(runs).toBe(0);
    await database.write((tx) => tx.updateTable("jobs").set({ held_until: 1 }).execute());
    await until(() => runs > 0);
    await stop();
    // The one server there is knows at its start that nobody else can be running anything.
    await database.write((tx) => requestJob(tx, database, "work"));
    await takeJob(database, { name: "work", holder: "killed", leaseMs: 60_000 });
    await releaseJobs(database);
    expect(await takeJob(database, { name: "work", holder: "next", leaseMs: 60_000 })).toBe(true);
    // On a full disk the lease runs out by itself; what is no fault of the storage is told.
    const failing = (code: string): Database => ({
      ...database,
      write: () => Promise.reject(Object.assign(new Error(code), { code })),
    });
    await releaseJobs(failing("SQLITE_FULL"));
    const [outcome] = await Promise.allSettled([releaseJobs(failing("SQLITE_ERROR"))]);
    expect(outcome.status).toBe("rejected");
  });

  it("that lose their lease are told, and end nobody else's run", async () => {
    const database = await open([jobMigrations]);
    const { log } = errorLog();
    const begun = Promise.withResolvers<AbortSignal>();
    const go = Promise.withResolvers<void>();
    const job: Job = {
      name: "work",
      everyMs: 1,
      async run({ signal }) {
        begun.resolve(signal);
        await go.promise;
      },
    };
    const stop = runJobs({ database, log }, [job], { ...settings, leaseMs: 30 });
    const signal = await begun.promise;
    await database.write((tx) =>
      tx
        .updateTable("jobs")
        .set({ holder: "thief", held_until: Date.now() + 3_600_000 })
        .execute(),
    );
    await until(() => signal.aborted);
    go.resolve();
    await stop();
    expect(await rowOf(database, "work")).toMatchObject({ holder: "thief", runs: 0 });
  });

  it("that fail say why and are tried again, also by whoever stops in between", async () => {
    const database = await open([jobMigrations]);
    const { log, errors } = errorLog();
    let tries = 0;
    const job: Job = {
      name: "work",
      everyMs: 3_600_000,
      async run() {
        if (++tries <= 3) throw new Error(`no luck at ${String(tries)}`);
      },
    };
    const stop = runJobs({ database, log }, [job], settings);
    await until(async () => database.write((tx) => requestJob(tx, database, "work")));
    await until(() => tries >= 1);
    await until(async () => (await rowOf(database, "work"))?.error?.startsWith("no luck") ?? tries >= 4);
    await until(async () => tries >= 4 && (await rowOf(database, "work"))?.runs === 4);
    await stop();
    expect(errors).toEqual([1, 2, 3].map((number) => `job failed: no luck at ${String(number)}`));
    expect(await rowOf(database, "work")).toMatchObject({ failures: 0, failed_runs: 3, error: null, state: "resting" });
  });

  it("are run soon when somebody asks, and a request during a run counts", async () => {
    const database = await open([jobMigrations]);
    const { log } = errorLog();
    let runs = 0;
    const go = Promise.withResolvers<void>();
    const job: Job = {
      name: "work",
      everyMs: 3_600_000,
      async run() {
        runs += 1;
        await Bun.sleep(5);
        await go.promise;
      },
    };
    const request = () => database.write((tx) => requestJob(tx, database, "work"));
    const stop = runJobs({ database, log }, [job], settings);
    await until(request);
    await until(() => runs === 1);
    await Bun.sleep(5);
    expect(await request()).toBe(true);
    go.resolve();
    await until(() => runs === 2);
    await stop();
    expect(await database.write((tx) => requestJob(tx, database, "nothing"))).toBe(false);
  });

  it("without work write nothing", async () => {
    const database = await open([jobMigrations]);
    const { log } = errorLog();
    let writes = 0;
    let asked = 0;
    const counted: Database = {
      ...database,
      write(work) {
        writes += 1;
        return database.write(work);
      },
    };
    const job: Job = {
      name: "work",
      everyMs: 1,
      hasWork: async () => ++asked < 0,
      run: () => Promise.reject(new Error("it ran")),
    };
    const stop = runJobs({ database: counted, log }, [job], settings);
    await until(() => asked >= 5);
    await stop();
    expect(writes).toBe(1);
    expect((await rowOf(database, "work"))?.state).toBe("waiting");
  });
});
