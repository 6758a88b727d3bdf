import { expect, it } from "bun:test";
import type { TestCase } from "../proof/junit.ts";
import { compareRun, neverPassed } from "./compare.ts";

const result = (name: string, outcome: TestCase["outcome"] = "passed"): TestCase => ({
  file: "",
  line: 0,
  name,
  outcome,
});

it("accepts the listed results, as often as they are listed", () => {
  const cases = [result("a"), result("b"), result("a")];
  expect(compareRun({ name: "new", cases, expected: ["a", "a", "b"] })).toEqual([]);
});

it("sees a run that ended early, a result nobody listed, and a failure", () => {
  const cases = [result("a"), result("c", "failed")];
  expect(compareRun({ name: "new", cases, expected: ["a", "a", "b"] })).toEqual([
    "new: 2 results, expected 3",
    "new: no result of: a",
    "new: no result of: b",
    "new: a result that is not in the list: c",
    "new: failed: c",
  ]);
});

it("wants every test to pass in one of the runs", () => {
  const first = { name: "1", cases: [result("a"), result("b", "skipped")], expected: ["a", "b"] };
  const second = { name: "2", cases: [result("a"), result("b")], expected: ["a", "b"] };
  expect(neverPassed([first])).toEqual(["passed in no run: b"]);
  expect(neverPassed([first, second])).toEqual([]);
  expect(neverPassed([first], ["b"])).toEqual([]);
  expect(neverPassed([first, second], ["b", "c"])).toEqual([
    "listed as an alternative, but it passed or is unknown: b",
    "listed as an alternative, but it passed or is unknown: c",
  ]);
});
