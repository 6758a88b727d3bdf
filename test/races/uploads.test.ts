import { expect, test } from "bun:test";
import type { Dialect } from "../../src/platform/database/database.ts";
import { describeEachDatabase } from "../support/databases.ts";
import { testRegistry } from "../support/registry.ts";
import { openStage } from "./program/stage.ts";
import { uploadFaults } from "./planted/upload-faults.ts";
import { positionedStore } from "./uploads/positioned-store.ts";
import { staleMemory } from "./uploads/stale-memory.ts";
import { runUploads, virtualClock } from "./uploads/run-uploads.ts";

const seeds = { sqlite: 250, postgres: 40 };
const first = Number(process.env["BERTH_TEST_RACES_SEED"] ?? 1);

describeEachDatabase("random uploads in chosen interleavings", (dialect: Dialect) => {
  test("a session has one writer, never fewer bytes than it tells, and at its end those that were acknowledged", async () => {
    await using stage = await openStage(dialect);
    using clock = virtualClock();
    const store = positionedStore();
    const registry = testRegistry(stage.registry.database, { blobs: store, hashes: staleMemory() });
    const problems: string[] = [];
    for (let seed = first; seed < first + seeds[dialect]; seed += 1) {
      const problem = await runUploads({ ...stage, registry, store, clock }, seed);
      if (problem !== undefined) problems.push(problem);
    }
    expect(problems).toEqual([]);
  }, 300_000);
});

const mostSeeds = 1000;

for (const [what, plant] of Object.entries(uploadFaults)) {
  test(`it would be seen that ${what}`, async () => {
    await using stage = await openStage("sqlite");
    using clock = virtualClock();
    const store = positionedStore();
    const parts = plant({ store, clock });
    const registry = testRegistry(stage.registry.database, { blobs: store, ...parts.registry });
    let problem: string | undefined;
    for (let seed = 1; seed <= mostSeeds && problem === undefined; seed += 1) {
      problem = await runUploads({ ...stage, registry, store, clock: parts.clock ?? clock }, seed);
    }
    expect(problem).toMatch(/^seed \d+: /);
  }, 120_000);
}
