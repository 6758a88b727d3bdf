import { expect, test } from "bun:test";
import { describeEachDatabase } from "../support/databases.ts";
import { executeOn } from "./program/execute.ts";
import { runAtOnce } from "./program/run-program.ts";
import { executeOver } from "./served/execute-over.ts";
import { useSharedRegistry } from "./served/shared-registry.ts";

const first = Number(process.env["BERTH_TEST_RACES_SEED"] ?? 1);
const programs = 14;
const size = { clients: 5, operations: 8 };

for (const workers of [1, 2]) {
  describeEachDatabase(`random programs against a server of ${String(workers)}`, (dialect) => {
    const shared = useSharedRegistry(dialect, workers);

    test("every answer is one that some order of the operations gives, also beside another process", async () => {
      const { client, beside } = shared();
      const here = executeOn(beside);
      const there = executeOver(client, here);
      const problems: string[] = [];
      for (let seed = first; seed < first + programs; seed += 1) {
        // Every third client is this process, with a database connection and a store of its own.
        const { problem } = await runAtOnce([there, there, here], seed, size);
        if (problem !== undefined) problems.push(problem);
      }
      expect(problems).toEqual([]);
    }, 300_000);
  });
}
