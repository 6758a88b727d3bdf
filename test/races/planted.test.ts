import { expect, test } from "bun:test";
import { faults } from "./planted/faults.ts";
import { realParts } from "./program/execute.ts";
import { runProgram } from "./program/run-program.ts";
import { openStage } from "./program/stage.ts";

const mostSeeds = 1000;

/** Where to begin, for those that take some hundred seeds: each is found by less than 400 from 1 on. */
const firstSeeds: Readonly<Record<string, number>> = {
  "several tags move one after the other": 330,
  "the collector does not look at the lease again": 235,
  "a mount looks at its source outside the transaction": 350,
  "a delete leaves a tag that names nothing": 110,
  "two deletes of one blob are both told that they did it": 280,
  "a tag that moves while it is read is told to be absent": 50,
  "a HEAD renews no lease": 50,
  "the last manifest that goes leaves no lease": 50,
};

for (const [what, plant] of Object.entries(faults)) {
  test(`it would be seen that ${what}`, async () => {
    await using stage = await openStage("sqlite");
    let problem: string | undefined;
    const first = firstSeeds[what] ?? 1;
    for (let seed = first; seed < first + mostSeeds && problem === undefined; seed += 1) {
      ({ problem } = await runProgram({ ...stage, parts: { ...realParts, ...plant() } }, seed));
    }
    expect(problem).toMatch(/^seed \d+: no order of these explains the answers:\n/);
  }, 120_000);
}
