import { expect, it } from "bun:test";
import { labelChanges, withChanges } from "./label-changes.ts";
import { StartError } from "./start-error.ts";

it("sets labels and takes them away, and leaves the others", () => {
  const before = { tier: "one", team: "x", "acme.example/a": "" };
  const changes = labelChanges(["tier=a=b", "team-", "none-", "new=", "constructor=1"]);
  expect(withChanges(before, changes)).toEqual({ "acme.example/a": "", constructor: "1", new: "", tier: "a=b" });
  expect(withChanges(before, labelChanges([]))).toEqual(before);
});

it("refuses what is no label, before anything is asked", () => {
  for (const given of [["tier"], ["=x"], ["-"], [""], ["__proto__=x"], ["a b=c"], ["a=1", "a-"], ["a=1", "a=2"]]) {
    expect(() => labelChanges(given)).toThrow(StartError);
  }
});
