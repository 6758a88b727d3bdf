import type { TestCase } from "./junit.ts";

/** All that a run of `bun test` left behind. */
export interface TestEvidence {
  /** Path and source of every test file on the disk that the run had to load. */
  readonly files: readonly { readonly path: string; readonly source: string }[];
  readonly cases: readonly TestCase[];
  /** What it printed. */
  readonly output: string;
  readonly exitCode: number;
}

/** A test that stands for others that a machine cannot run is skipped under this name, with the reason behind it. */
const notRun = "not run: ";
const summary = /^Ran (\d+) tests? across (\d+) files?\./m;
const callSite = /^\s*(?:for \(.*\) )?(?:test|it)(?=[.(<]|$)/;

/**
 * What is wrong with the run, whatever its exit code says: `process.exit(0)` inside a test ends `bun test` with success,
 * without a summary and without the tests that were still to come.
 */
export function judgeRun({ files, cases, output, exitCode }: TestEvidence): readonly string[] {
  const counted = summary.exec(output);
  return [
    ...(exitCode === 0 || cases.some((one) => one.outcome === "failed")
      ? []
      : [`no test failed, but bun test ended with ${String(exitCode)}`]),
    ...(counted === null ? ["bun test printed no summary: something ended it early"] : []),
    ...(counted !== null && Number(counted[1]) !== cases.length
      ? [`bun test counted ${String(counted[1])} tests, its JUnit file holds ${String(cases.length)}`]
      : []),
    ...(counted !== null && Number(counted[2]) !== files.length
      ? [`bun test ran ${String(counted[2])} files, ${String(files.length)} are on the disk`]
      : []),
    ...files.flatMap(({ path, source }) =>
      judgeFile(
        path,
        source,
        cases.filter((one) => one.file === path),
      ),
    ),
    ...cases.filter((one) => one.outcome === "failed").map((one) => `failed: ${one.file}: ${one.name}`),
    ...cases
      .filter((one) => one.outcome === "skipped" && reasonNotRun(one) === undefined)
      .map((one) => `skipped without a reason: ${one.file}: ${one.name}`),
  ];
}

/** Every call of `test` or `it` in the file must have left a result: the line of a result lies in its call. */
function judgeFile(path: string, source: string, cases: readonly TestCase[]): readonly string[] {
  if (cases.length === 0) return [`no test of ${path} was run`];
  if (cases.some((one) => reasonNotRun(one) !== undefined)) return [];
  const sites = source.split("\n").flatMap((text, index) => (callSite.test(text) ? [index + 1] : []));
  return sites
    .filter((line, index) => {
      const next = sites[index + 1] ?? Number.POSITIVE_INFINITY;
      return !cases.some((one) => one.line >= line && one.line < next);
    })
    .map((line) => `${path}:${String(line)} declares a test that left no result`);
}

/** Why the tests that this one stands for were not run. */
export function reasonNotRun({ name, outcome }: TestCase): string | undefined {
  const start = name.lastIndexOf(notRun);
  return outcome === "skipped" && start !== -1 ? name.slice(start + notRun.length) : undefined;
}

export interface DialectCounts {
  readonly sqlite: number;
  readonly postgres: number;
}

/** How many tests ran on each database. */
export function countDialects(cases: readonly TestCase[]): DialectCounts {
  const count = (mark: string): number =>
    cases.filter((one) => one.outcome !== "skipped" && one.name.includes(mark)).length;
  return { sqlite: count(" [sqlite]"), postgres: count(" [postgres]") };
}

/** Both databases run the same tests; where one is missing, that is said by name and not compared. */
export function judgeDialects(cases: readonly TestCase[]): readonly string[] {
  const { sqlite, postgres } = countDialects(cases);
  const excused = cases.some((one) => one.name.includes(" [postgres]") && reasonNotRun(one) !== undefined);
  return sqlite === postgres || (excused && postgres === 0)
    ? []
    : [`the databases ran unequal numbers of tests: SQLite ${String(sqlite)}, PostgreSQL ${String(postgres)}`];
}
