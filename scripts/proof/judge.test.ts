import { expect, it } from "bun:test";
import { countDialects, judgeDialects, judgeRun } from "./judge.ts";
import type { TestCase } from "./junit.ts";

const passed = (name: string): TestCase => ({ file: "a.test.ts", line: 1, name, outcome: "passed" });
const skipped = (name: string): TestCase => ({ ...passed(name), outcome: "skipped" });
const files = [{ path: "a.test.ts", source: 'it("works");' }];

it("holds the JUnit file against the printed summary", () => {
  const output = "Ran 2 tests across 3 files. [1.00ms]";
  expect(judgeRun({ files, cases: [passed("x")], output, exitCode: 0 })).toEqual([
    "bun test counted 2 tests, its JUnit file holds 1",
    "bun test ran 3 files, 1 are on the disk",
  ]);
});

it("wants the same number of tests on both databases", () => {
  const cases = [passed("rows [sqlite] > a"), passed("rows [sqlite] > b"), passed("rows [postgres] > a")];
  expect(countDialects(cases)).toEqual({ sqlite: 2, postgres: 1 });
  expect(judgeDialects(cases)).toEqual(["the databases ran unequal numbers of tests: SQLite 2, PostgreSQL 1"]);
  expect(judgeDialects([...cases, passed("rows [postgres] > b")])).toEqual([]);
});

it("excuses a database only where it says that it is missing", () => {
  expect(judgeDialects([passed("rows [sqlite] > a")])).toHaveLength(1);
  expect(judgeDialects([passed("rows [sqlite] > a"), skipped("rows [postgres] > not run: no server")])).toEqual([]);
  expect(
    judgeDialects([
      passed("rows [sqlite] > a"),
      passed("rows [sqlite] > b"),
      passed("rows [postgres] > a"),
      skipped("more [postgres] > not run: no server"),
    ]),
  ).toHaveLength(1);
});
