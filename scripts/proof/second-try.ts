import type { TestCase } from "./junit.ts";
import { runTests, type TestPlan, type TestRun } from "./run-tests.ts";

/** What is lost once in a hundred runs is lost: tests of these have one try. */
const strict = ["test/faults/", "test/races/", "src/registry/", "src/platform/database/", "src/platform/blobs/"];
/** More than these do not fail because the machine stood still. */
const mostFiles = 4;

/**
 * Runs the files. A test that waits for something may fail because the machine stood still meanwhile, so a file that
 * failed runs once more, with nothing beside it; what passes then is told as unsteady, never as if nothing had been.
 */
export async function runTestsSteadily(plan: TestPlan): Promise<TestRun> {
  const first = await runTests(plan);
  const failed = first.cases.filter(({ outcome }) => outcome === "failed");
  const files = [...new Set(failed.map(({ file }) => file))];
  const others = first.problems.filter((problem) => !problem.startsWith("failed: "));
  if (files.length === 0 || files.length > mostFiles || others.length > 0 || !files.every(mayTryAgain)) return first;
  const flags = (plan.flags ?? []).filter((flag) => !flag.startsWith("--parallel"));
  const second = await runTests({ ...plan, files, flags });
  const failedAgain = new Set(second.cases.filter(({ outcome }) => outcome === "failed").map(nameOf));
  return {
    cases: [...first.cases.filter(({ file }) => !files.includes(file)), ...second.cases],
    problems: second.problems,
    unsteady: failed.filter((one) => !failedAgain.has(nameOf(one))).map(nameOf),
    output: `${first.output}\n${second.output}`,
  };
}

const nameOf = ({ file, name }: TestCase): string => `${file}: ${name}`;

const mayTryAgain = (file: string): boolean => !strict.some((place) => file.startsWith(place));
