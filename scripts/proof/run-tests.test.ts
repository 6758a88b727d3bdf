import { afterEach, beforeEach, expect, it } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findTests, runTests, type TestRun } from "./run-tests.ts";

let root: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "berth-planted-"));
});
afterEach(async () => rm(root, { recursive: true, force: true }));

const header = 'import { describe, expect, it, test } from "bun:test";';

async function runPlanted(files: Readonly<Record<string, readonly string[]>>, flags: readonly string[] = []) {
  for (const [name, lines] of Object.entries(files)) await Bun.write(join(root, name), [header, ...lines].join("\n"));
  return runTests({ root, files: await findTests(root, ["."]), flags });
}

const problemsOf = async (run: Promise<TestRun>): Promise<readonly string[]> => (await run).problems;

it("accepts a run in which every test left its result", async () => {
  const run = await runPlanted({
    "a.test.ts": [
      'describe("group", () => {',
      '  it("<one>", () => expect(1).toBe(1));',
      "});",
      "test.each([",
      "  [1], [2],",
      '])("each %d", (n) => expect(n).toBeGreaterThan(0));',
      'for (const n of [3, 4]) it("loop " + n, () => {});',
    ],
    "folder/b.test.ts": ['it.skip("not run: the machine has no anchor", () => {});'],
  });
  expect(run.problems).toEqual([]);
  expect(run.cases.map(({ name, outcome }) => `${name}: ${outcome}`)).toEqual([
    "group > <one>: passed",
    "each 1: passed",
    "each 2: passed",
    "loop 3: passed",
    "loop 4: passed",
    "not run: the machine has no anchor: skipped",
  ]);
});

it("sees that a test ended the run with success", async () => {
  const run = runPlanted({ "a.test.ts": ['it("ends it", () => process.exit(0));', 'it("never runs", () => {});'] });
  expect(await problemsOf(run)).toEqual([
    "bun test printed no summary: something ended it early",
    "no test of a.test.ts was run",
  ]);
});

it("sees it among parallel files as well", async () => {
  const run = runPlanted(
    { "a.test.ts": ['it("ends it", () => process.exit(0));'], "b.test.ts": ['it("runs", () => {});'] },
    ["--parallel=2"],
  );
  expect(await problemsOf(run)).toContain("failed: a.test.ts: (worker crashed)");
});

it("sees a file without tests, a test that was not reached, a failure and a skip without a reason", async () => {
  const run = runPlanted({
    "empty.test.ts": [],
    "lost.test.ts": ['it("is there", () => {});', "if (Math.random() > 2)", '  it("is not", () => {});'],
    "red.test.ts": ['it("fails", () => expect(1).toBe(2));', 'it.skip("later", () => {});'],
  });
  expect(await problemsOf(run)).toEqual([
    "no test of empty.test.ts was run",
    "lost.test.ts:4 declares a test that left no result",
    "failed: red.test.ts: fails",
    "skipped without a reason: red.test.ts: later",
  ]);
});

it("sees an error outside every test", async () => {
  const run = runPlanted({
    "a.test.ts": [
      'it("passes", () => {});',
      'setTimeout(() => { throw new Error("late"); }, 0);',
      "await Bun.sleep(20);",
    ],
  });
  expect(await problemsOf(run)).not.toEqual([]);
});
