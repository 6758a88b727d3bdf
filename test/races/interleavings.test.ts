import { expect, test } from "bun:test";
import { describeEachDatabase } from "../support/databases.ts";
import { describeHistory } from "./history/history.ts";
import { runProgram } from "./program/run-program.ts";
import { openStage } from "./program/stage.ts";

/** A statement on PostgreSQL goes over a socket, and others come in between statements, not only transactions. */
const seeds = { sqlite: 150, postgres: 30 };
const first = Number(process.env["BERTH_TEST_RACES_SEED"] ?? 1);

describeEachDatabase("random programs in chosen interleavings", (dialect) => {
  test("every answer is one that some order of the operations gives, and no two transactions wait for each other", async () => {
    await using stage = await openStage(dialect);
    const problems: string[] = [];
    for (let seed = first; seed < first + seeds[dialect]; seed += 1) {
      const { problem } = await runProgram(stage, seed);
      if (problem !== undefined) problems.push(problem);
    }
    expect(problems).toEqual([]);
    expect(await stage.deadlocks()).toBe(0);
  }, 300_000);
});

// On PostgreSQL too, but for which of several that wait for one lock gets it first.
test("a seed repeats exactly", async () => {
  await using stage = await openStage("sqlite");
  for (const seed of [3, 4, 5]) {
    const [one, other] = [await runProgram(stage, seed), await runProgram(stage, seed)];
    expect(describeHistory(other.history)).toBe(describeHistory(one.history));
  }
}, 60_000);
