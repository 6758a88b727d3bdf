import { expect, it } from "bun:test";
import type { TestCase } from "./junit.ts";
import { summarize, type Evidence } from "./summary.ts";

const one = (name: string, outcome: TestCase["outcome"] = "passed"): TestCase => ({
  file: "test/a.test.ts",
  line: 1,
  name,
  outcome,
});

function evidence(cases: readonly TestCase[], more: Partial<Evidence> = {}): Evidence {
  return {
    runs: [{ cases, problems: [], output: "" }],
    docs: { blocks: [], problems: [] },
    failedSteps: [],
    everythingIsRequired: false,
    ...more,
  };
}

it("ends with the line of totals", () => {
  const { lines, failed } = summarize(evidence([one("a"), one("b [sqlite]"), one("b [postgres]")]));
  expect(failed).toBe(false);
  expect(lines).toContain("databases: 1 tests on SQLite, 1 on PostgreSQL");
  expect(lines.at(-1)).toBe("3 passed, 0 failed, 0 skipped");
});

it("lists by name what was not run, and fails where everything is required", () => {
  const cases = [one("a"), one("podman > not run: podman is not installed", "skipped")];
  const lenient = summarize(evidence(cases));
  expect(lenient.failed).toBe(false);
  expect(lenient.lines).toContain("  test/a.test.ts: podman > not run: podman is not installed");
  expect(lenient.lines.at(-1)).toBe("1 passed, 0 failed, 1 skipped");

  const strict = summarize(evidence(cases, { everythingIsRequired: true }));
  expect(strict.failed).toBe(true);
  expect(strict.lines.at(-1)).toBe("1 passed, 1 failed, 1 skipped");
});

it("counts blocks of documents, and never ends with zero failures where something failed", () => {
  const block = { file: "README.md", line: 3, commands: "true", notRun: undefined };
  const { lines, failed } = summarize(
    evidence([], {
      docs: { blocks: [{ block, outcome: "passed", detail: "" }], problems: [] },
      failedSteps: ["npm run check"],
    }),
  );
  expect(failed).toBe(true);
  expect(lines.at(-1)).toBe("1 passed, 1 failed, 0 skipped");
});

it("tells what was unsteady, which is no failure", () => {
  const run = { cases: [one("a")], problems: [], output: "", unsteady: ["test/a.test.ts: a"] };
  const { lines, failed } = summarize(evidence([], { runs: [run] }));
  expect(failed).toBe(false);
  expect(lines).toContain("passed at the second try alone:");
  expect(lines).toContain("  test/a.test.ts: a");
});

it("fails on unequal databases", () => {
  expect(summarize(evidence([one("b [sqlite]")])).failed).toBe(true);
});
