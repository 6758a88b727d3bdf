import { countDialects, judgeDialects, reasonNotRun } from "./judge.ts";
import { describeDocs, type DocsResult } from "./check-docs.ts";
import type { TestRun } from "./run-tests.ts";

export interface Evidence {
  readonly runs: readonly TestRun[];
  readonly docs: DocsResult;
  /** Steps beside the tests that failed: types, lint, ... */
  readonly failedSteps: readonly string[];
  /** Whether a component that is missing is a failure. */
  readonly everythingIsRequired: boolean;
}

export interface Summary {
  readonly lines: readonly string[];
  readonly failed: boolean;
}

/** What was run, what was not and why, and last the line of totals. */
export function summarize({ runs, docs, failedSteps, everythingIsRequired }: Evidence): Summary {
  const cases = runs.flatMap((run) => run.cases);
  const missingBlocks = docs.blocks.filter(({ outcome }) => outcome === "missing");
  const passedBlocks = docs.blocks.filter(({ outcome }) => outcome === "passed");
  const notRun = [
    ...cases.flatMap((one) => (reasonNotRun(one) === undefined ? [] : [`${one.file}: ${one.name}`])),
    ...missingBlocks.map(({ block, detail }) => `${block.file}:${String(block.line)}: ${detail}`),
  ];
  const unsteady = runs.flatMap((run) => run.unsteady ?? []);
  const problems = [
    ...failedSteps,
    ...runs.flatMap((run) => run.problems),
    ...judgeDialects(cases),
    ...docs.problems,
    ...(everythingIsRequired ? notRun.map((what) => `required, but not run: ${what}`) : []),
  ];
  const { sqlite, postgres } = countDialects(cases);
  const passed = cases.filter(({ outcome }) => outcome === "passed").length + passedBlocks.length;
  return {
    failed: problems.length > 0,
    lines: [
      `tests: ${String(cases.length)} in ${String(new Set(cases.map(({ file }) => file)).size)} files`,
      `databases: ${String(sqlite)} tests on SQLite, ${String(postgres)} on PostgreSQL`,
      ...describeDocs(docs),
      ...(notRun.length === 0 ? ["not run: nothing"] : ["not run:", ...notRun.map((what) => `  ${what}`)]),
      ...(unsteady.length === 0 ? [] : ["passed at the second try alone:", ...unsteady.map((what) => `  ${what}`)]),
      ...(problems.length === 0 ? [] : ["failed:", ...problems.map((what) => `  ${what}`)]),
      `${String(passed)} passed, ${String(problems.length)} failed, ${String(notRun.length)} skipped`,
    ],
  };
}
