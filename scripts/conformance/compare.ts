import type { TestCase } from "../proof/junit.ts";

/** What a run of an official suite left, beside the names that it must have left. */
export interface SuiteRun {
  readonly name: string;
  readonly cases: readonly TestCase[];
  readonly expected: readonly string[];
}

/** The suites are believed by the names of their results alone: a run that ended early has no failures either. */
export function compareRun({ name, cases, expected }: SuiteRun): readonly string[] {
  const missing = withoutEach(
    expected,
    cases.map((one) => one.name),
  );
  const unknown = withoutEach(
    cases.map((one) => one.name),
    expected,
  );
  return [
    ...(cases.length === expected.length
      ? []
      : [`${name}: ${String(cases.length)} results, expected ${String(expected.length)}`]),
    ...missing.map((what) => `${name}: no result of: ${what}`),
    ...unknown.map((what) => `${name}: a result that is not in the list: ${what}`),
    ...cases.filter(({ outcome }) => outcome === "failed").map((one) => `${name}: failed: ${one.name}`),
  ];
}

/**
 * What was skipped in every one of these runs.
 * @param alternatives tests that are meant to be skipped, and may be nothing else
 */
export function neverPassed(runs: readonly SuiteRun[], alternatives: readonly string[] = []): readonly string[] {
  const passed = new Set(runs.flatMap(({ cases }) => cases.filter(isPassed).map((one) => one.name)));
  const names = new Set(runs.flatMap(({ expected }) => expected));
  return [
    ...[...names]
      .filter((name) => !passed.has(name) && !alternatives.includes(name))
      .map((name) => `passed in no run: ${name}`),
    ...alternatives
      .filter((name) => passed.has(name) || !names.has(name))
      .map((name) => `listed as an alternative, but it passed or is unknown: ${name}`),
  ];
}

export const isPassed = ({ outcome }: TestCase): boolean => outcome === "passed";
export const isSkipped = ({ outcome }: TestCase): boolean => outcome === "skipped";

/** What of `names` is left when each of `others` takes one away; names may repeat. */
function withoutEach(names: readonly string[], others: readonly string[]): readonly string[] {
  const left = new Map<string, number>();
  for (const name of others) left.set(name, (left.get(name) ?? 0) + 1);
  return names.filter((name) => {
    const count = left.get(name) ?? 0;
    left.set(name, count - 1);
    return count <= 0;
  });
}
