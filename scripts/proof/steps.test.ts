import { expect, it } from "bun:test";
import { runSteps, type Step } from "./steps.ts";

const step = (name: string, passed: boolean): Step => ({
  name,
  run: async () => Promise.resolve({ passed, output: `what ${name} says` }),
});

async function printed(steps: readonly Step[]): Promise<{ readonly failed: readonly string[]; readonly text: string }> {
  const lines: string[] = [];
  const failed = await runSteps(steps, { atOnce: 2, print: (line) => lines.push(line) });
  return { failed, text: lines.join("\n") };
}

it("names every step, and shows what the failing ones said", async () => {
  const { failed, text } = await printed([step("lint", true), step("types", false), step("format", true)]);
  expect(failed).toEqual(["types"]);
  expect(text).toMatch(/ok +lint/);
  expect(text).toMatch(/FAILED types/);
  expect(text).toMatch(/ok +format/);
  expect(text).toContain("what types says");
  expect(text).not.toContain("what lint says");
});

it("counts a step that throws as failed", async () => {
  const { failed, text } = await printed([{ name: "broken", run: () => Promise.reject(new Error("no such tool")) }]);
  expect(failed).toEqual(["broken"]);
  expect(text).toContain("no such tool");
});
