import { expect, test } from "bun:test";
import { paceOf } from "./patience.ts";

const limits = { idleSeconds: 10, stallSeconds: 10, minBytesPerSecond: 100 };

test("a sender that sends nothing has the time of a stall", () => {
  const pace = paceOf(limits);
  pace.wait(1000);
  expect([1000, 10_999, 11_000].map((now) => pace.isOver(now))).toEqual([false, false, true]);
});

function overAt(bytesPerSecond: number): number | undefined {
  const pace = paceOf(limits);
  for (let now = 0; now < 100_000; now += 500) {
    pace.wait(now);
    if (pace.isOver(now + 500)) return now + 500;
    pace.came(bytesPerSecond / 2, now + 500);
  }
  return undefined;
}

test("one at the least rate is never over, at half of it after twice the time of a stall", () => {
  expect([overAt(100), overAt(99.9), overAt(1000)]).toEqual([undefined, undefined, undefined]);
  expect([overAt(50), overAt(0)]).toEqual([19_500, 10_000]);
});

test("bytes in advance buy no longer stall", () => {
  const pace = paceOf(limits);
  pace.wait(0);
  pace.came(1_000_000, 1);
  pace.wait(1);
  expect([pace.isOver(10_000), pace.isOver(10_001)]).toEqual([false, true]);
});

test("the time in which nobody waits for the sender does not count", () => {
  const pace = paceOf(limits);
  pace.wait(0);
  pace.came(1, 1000);
  expect(pace.isOver(1_000_000)).toBe(false);
  pace.wait(1_000_000);
  expect([pace.isOver(1_008_000), pace.isOver(1_009_100)]).toEqual([false, true]);
});
