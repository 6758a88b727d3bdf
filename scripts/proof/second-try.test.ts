import { afterEach, beforeEach, expect, it } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findTests } from "./run-tests.ts";
import { runTestsSteadily } from "./second-try.ts";

let root: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "berth-planted-"));
});
afterEach(async () => rm(root, { recursive: true, force: true }));

const header = 'import { existsSync, writeFileSync } from "node:fs"; import { expect, it } from "bun:test";';
/** Fails the first time it runs. */
const unsteady = [
  'const marker = import.meta.path + ".ran";',
  "const ranBefore = existsSync(marker);",
  'writeFileSync(marker, "");',
  'it("wavers", () => expect(ranBefore).toBe(true));',
];
const broken = ['it("fails", () => expect(1).toBe(2));'];
const sound = ['it("passes", () => {});'];

async function runPlanted(files: Readonly<Record<string, readonly string[]>>) {
  for (const [name, lines] of Object.entries(files)) await Bun.write(join(root, name), [header, ...lines].join("\n"));
  return runTestsSteadily({ root, files: await findTests(root, ["."]), flags: ["--parallel=2"] });
}

it("tells what passed at the second try alone", async () => {
  const run = await runPlanted({ "test/a.test.ts": unsteady, "test/b.test.ts": sound });
  expect(run.problems).toEqual([]);
  expect(run.unsteady).toEqual(["test/a.test.ts: wavers"]);
  expect(run.cases.map(({ file, outcome }) => `${file}: ${outcome}`).toSorted()).toEqual([
    "test/a.test.ts: passed",
    "test/b.test.ts: passed",
  ]);
});

it("fails on what fails twice", async () => {
  const run = await runPlanted({ "test/a.test.ts": unsteady, "test/b.test.ts": broken });
  expect(run.problems).toEqual(["failed: test/b.test.ts: fails"]);
  expect(run.unsteady).toEqual(["test/a.test.ts: wavers"]);
});

it("gives no second try to tests of what must never be lost, nor to many at once", async () => {
  const run = await runPlanted({ "test/faults/a.test.ts": unsteady, "test/b.test.ts": unsteady });
  expect(run.problems).toHaveLength(2);
  const many = await runPlanted(Object.fromEntries("abcde".split("").map((name) => [`${name}.test.ts`, unsteady])));
  expect(many.problems.filter((problem) => problem.endsWith("wavers")).length).toBeGreaterThanOrEqual(5);
});
