import { run } from "./run.ts";
import { findTests, type TestRun } from "./run-tests.ts";
import { runTestsSteadily } from "./second-try.ts";
import { runSteps, type Step } from "./steps.ts";

export interface CheckResult {
  /** Names of the steps that failed. */
  readonly failedSteps: readonly string[];
  readonly tests: TestRun;
}

/** Tests that need nothing but the checkout (and a database server where the environment names one). */
const unitTests = ["src", "scripts", "test/architecture.test.ts"];

/** Everything that is quick to know about the checkout. */
export async function checkAll(root: string, env: Readonly<Record<string, string>> = {}): Promise<CheckResult> {
  let tests: TestRun = { cases: [], problems: ["the unit tests did not run"], output: "" };
  const tool = (name: string, ...command: readonly string[]): Step => ({
    name,
    run: async () => {
      const { exitCode, output } = await run([`${root}/node_modules/.bin/${command[0] ?? ""}`, ...command.slice(1)], {
        cwd: root,
      });
      return { passed: exitCode === 0, output };
    },
  });
  const failedSteps = await runSteps(
    [
      {
        name: "unit tests",
        run: async () => {
          tests = await runTestsSteadily({
            root,
            files: await findTests(root, unitTests),
            env,
            flags: ["--parallel=2", "--timeout=20000"],
          });
          return { passed: tests.problems.length === 0, output: [tests.output, ...tests.problems].join("\n") };
        },
      },
      tool("types", "tsc", "-p", "."),
      tool("lint", "oxlint", "--deny-warnings"),
      tool("format", "oxfmt", "--check"),
      tool("dead code", "knip", "--no-progress"),
    ],
    { atOnce: 2, print: (line) => console.log(line) },
  );
  return { failedSteps, tests };
}
