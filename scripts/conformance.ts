import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { compareRun, isPassed, isSkipped, neverPassed, type SuiteRun } from "./conformance/compare.ts";
import { findNewSuite, judgeReport, newSuitePlan, newSuiteRuns } from "./conformance/new-suite.ts";
import { alternatives, buildOldSuite, oldSuitePlan, oldSuiteRuns } from "./conformance/old-suite.ts";
import { readList, runSuite, writeList, type SuitePlan } from "./conformance/suite.ts";

/** With `--record` the lists of expected results are written instead of compared. */
const record = process.argv.includes("--record");
const everythingIsRequired = process.env["BERTH_TEST_REQUIRE"] === "all";

interface Finding {
  readonly runs: readonly SuiteRun[];
  readonly problems: readonly string[];
  readonly notRun: readonly string[];
}

async function runListed(name: string, list: string, plan: SuitePlan): Promise<SuiteRun> {
  await mkdir(plan.folder, { recursive: true });
  const started = performance.now();
  const cases = await runSuite(plan);
  if (record) await writeList(list, cases);
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  const passed = cases.filter(isPassed).length;
  console.log(`${name}: ${String(passed)} of ${String(cases.length)} results passed, ${seconds} s`);
  return { name, cases, expected: await readList(list) };
}

async function oldSuite(folder: string): Promise<Finding> {
  const suite = await buildOldSuite(folder);
  if ("missing" in suite) {
    const notRun = oldSuiteRuns.map(({ name }) => `${name}: ${suite.missing}`);
    return { runs: [], problems: everythingIsRequired ? notRun : [], notRun };
  }
  const runs: SuiteRun[] = [];
  for (const { name, list, env } of oldSuiteRuns)
    runs.push(await runListed(name, list, oldSuitePlan(suite.program, join(folder, list), env)));
  return { runs, problems: [...runs.flatMap(compareRun), ...neverPassed(runs, alternatives)], notRun: [] };
}

async function newSuite(folder: string): Promise<Finding> {
  const suite = await findNewSuite(folder);
  if ("missing" in suite)
    return { runs: [], problems: [], notRun: newSuiteRuns.map(({ name }) => `${name}: ${suite.missing}`) };
  const runs: SuiteRun[] = [];
  const problems: string[] = [];
  for (const { name, list, version } of newSuiteRuns) {
    const plan = newSuitePlan(suite.program, join(folder, `new-${version}`), version);
    const ran = await runListed(name, list, plan);
    runs.push(ran);
    problems.push(...compareRun(ran));
    problems.push(...ran.cases.filter(isSkipped).map((one) => `${name}: skipped: ${one.name}`));
    problems.push(...(await judgeReport(plan.folder)).map((what) => `${name}: ${what}`));
  }
  return { runs, problems, notRun: [] };
}

const folder = await mkdtemp(join(tmpdir(), "berth-conformance-"));
let keep = false;
try {
  const findings = [await oldSuite(folder), await newSuite(folder)];
  const problems = findings.flatMap((finding) => finding.problems);
  const notRun = findings.flatMap((finding) => finding.notRun);
  const passed = findings.flatMap(({ runs }) => runs.flatMap(({ cases }) => cases.filter(isPassed))).length;
  for (const problem of problems) console.log(problem);
  for (const what of notRun) console.log(`NOT RUN: ${what}`);
  console.log(`${String(passed)} passed, ${String(problems.length)} failed, ${String(notRun.length)} skipped`);
  process.exitCode = problems.length > 0 ? 1 : 0;
  if (problems.length > 0 && process.env["CI"] === undefined) {
    console.error(`the reports are in ${folder}`);
    keep = true;
  }
} finally {
  if (!keep) await rm(folder, { recursive: true, force: true });
}
