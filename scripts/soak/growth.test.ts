import { expect, it } from "bun:test";
import { growsBy, growthOf, type Sample } from "./growth.ts";

/** Half an hour, a sample every ten seconds. */
const samples = (value: (hours: number, index: number) => number): readonly Sample[] =>
  Array.from({ length: 180 }, (_, index) => ({ hours: index / 360, value: value(index / 360, index) }));
const upAndDown = (index: number): number => (index % 2 === 0 ? 3 : -3);

it("tells how fast something grows, and how sure that is", () => {
  const even = growthOf(samples((hours) => 70 + 4 * hours));
  expect(even.perHour).toBeCloseTo(4);
  expect(even.error).toBeCloseTo(0);
  const rough = growthOf(samples((hours, index) => 70 + 4 * hours + upAndDown(index)));
  expect(rough.perHour).toBeCloseTo(4, 0);
  expect(rough.error).toBeGreaterThan(0.5);
});

it("takes ups and downs for no growth, and growth in them for growth", () => {
  expect(growsBy(growthOf(samples((_, index) => 70 + upAndDown(index))), 1)).toBe(false);
  expect(growsBy(growthOf(samples((hours, index) => 70 + 10 * hours + upAndDown(index))), 1)).toBe(true);
  expect(growsBy(growthOf(samples((hours) => 70 + 0.9 * hours)), 1)).toBe(false);
  expect(growsBy(growthOf(samples((hours) => 70 + 1.1 * hours)), 1)).toBe(true);
});
