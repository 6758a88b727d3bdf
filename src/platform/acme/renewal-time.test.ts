import { expect, it } from "bun:test";
import { AcmeError } from "./acme-error.ts";
import { pauseAfter, renewalTime } from "./renewal-time.ts";

const day = 24 * 3_600_000;

it("is due with a third of the lifetime left, or a little more", () => {
  const lifetime = { fromMs: 0, untilMs: 90 * day };
  expect(renewalTime(lifetime, 0)).toBe(60 * day);
  expect(renewalTime(lifetime, 1)).toBe(57 * day);
});

it("rests longer after each failure, and longer where the authority has refused", () => {
  const down = Array.from({ length: 15 }, (_, index) => pauseAfter(new Error("down"), index + 1, 0.5) / 1000);
  expect(down.slice(0, 4)).toEqual([5, 10, 20, 40]);
  expect(Math.max(...down)).toBe(3600);
  const refused = Array.from({ length: 15 }, (_, index) => pauseAfter(new AcmeError("no"), index + 1, 0.5) / 1000);
  expect(refused.slice(0, 4)).toEqual([60, 120, 240, 480]);
  expect(Math.max(...refused)).toBe(6 * 3600);
  expect(pauseAfter(new Error("down"), 1e9, 1)).toBeLessThanOrEqual(1.2 * 3_600_000);
});

it("rests as long as the authority wishes, and no longer than a day for it", () => {
  expect(pauseAfter(new AcmeError("no", { retryAfterMs: 3_600_000 }), 1, 0.5)).toBe(3_600_000);
  expect(pauseAfter(new AcmeError("no", { retryAfterMs: 1 }), 1, 0.5)).toBe(60_000);
  expect(pauseAfter(new AcmeError("no", { retryAfterMs: 400 * day }), 1, 0.5)).toBe(day);
});
