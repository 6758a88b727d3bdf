import { expect, test } from "bun:test";
import { mkdir, mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { watchSyncs } from "./sync-health.ts";

const outcomeOf = async (promise: Promise<unknown>): Promise<unknown> => {
  const [outcome] = await Promise.allSettled([promise]);
  return outcome.status === "rejected" ? outcome.reason : "well";
};

test("a failed sync is not tried again, and nothing is written until a trial of the folder has gone well", async () => {
  const parent = await mkdtemp(join(tmpdir(), "berth-syncs-"));
  const folder = join(parent, "store");
  const failure = new Error("the disk is broken");
  let tries = 0;
  const sync = (): Promise<void> => {
    tries += 1;
    return Promise.reject(failure);
  };
  try {
    const health = watchSyncs(folder);
    expect(await outcomeOf(health.require())).toBe("well");
    expect(await outcomeOf(health.run(sync))).toBe(failure);
    expect(tries).toBe(1);
    // There is no folder yet: the trial fails, and so does everyone who asks right after it.
    const trials = await Promise.all([outcomeOf(health.require()), outcomeOf(health.require())]);
    expect(trials.map((error) => (error as { code?: string }).code)).toEqual(["ENOENT", "ENOENT"]);
    await mkdir(folder);
    expect(await outcomeOf(health.require())).not.toBe("well");
    await Bun.sleep(400);
    expect(await outcomeOf(health.require())).toBe("well");
    expect(await readdir(folder)).toEqual([]);
  } finally {
    await rm(parent, { recursive: true, force: true });
  }
});
