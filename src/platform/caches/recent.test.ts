import { expect, it } from "bun:test";
import { recent } from "./recent.ts";

function atTime() {
  let time = 0;
  const known = recent<number>({ most: 100, forMs: 1000, now: () => time });
  return { known, at: (ms: number) => (time = ms) };
}

it("tells what was set until its time is over, and begins anew with what is set again", () => {
  const { known, at } = atTime();
  known.set("a", 1);
  known.set("b", 1);
  at(999);
  expect(known.get("a")).toBe(1);
  known.set("b", 2);
  at(1000);
  expect(known.get("a")).toBeUndefined();
  expect(known.get("b")).toBe(2);
  known.delete("b");
  expect(known.get("b")).toBeUndefined();
});

it("gives back the memory of what has run out, long before there are too many", () => {
  const { known, at } = atTime();
  for (let key = 0; key < 60; key++) known.set(`first ${key}`, key);
  at(500);
  for (let key = 0; key < 30; key++) known.set(`second ${key}`, key);
  expect(known.size()).toBe(90);
  at(1200);
  known.set("third", 1);
  expect(known.size()).toBe(31);
  expect(known.get("second 0")).toBe(0);
});

it("forgets the oldest of too many", () => {
  const { known } = atTime();
  for (let key = 0; key <= 100; key++) known.set(String(key), key);
  expect(known.size()).toBe(100);
  expect(known.get("0")).toBeUndefined();
  expect(known.get("1")).toBe(1);
});
