import { expect, test } from "bun:test";
import { testClock } from "../../../test/support/access.ts";
import { circuitBreaker } from "./circuit-breaker.ts";
import { SourceUnavailable } from "./source.ts";

function start() {
  const clock = testClock();
  const told: string[] = [];
  const breaker = circuitBreaker(
    { now: clock.now, onOpen: ({ message }) => told.push(`open: ${message}`), onClose: () => told.push("closed") },
    { failures: 3, restMs: 1000, mostRestMs: 3000 },
  );
  let asked = 0;
  const ask = async (isUp: boolean): Promise<string> => {
    const outcome = breaker.run(async () => {
      asked++;
      if (!isUp) throw new SourceUnavailable("away");
      return "up";
    });
    return outcome.catch((error: unknown) => (error instanceof SourceUnavailable ? "away" : "?"));
  };
  return { clock, told, breaker, ask, asked: () => asked };
}

test("after three failures nobody is asked until the rest is over, and then by one", async () => {
  const { clock, told, ask, asked } = start();
  for (let at = 0; at < 10; at++) expect(await ask(false)).toBe("away");
  expect(asked()).toBe(3);
  expect(told).toEqual(["open: away"]);
  clock.advance(1000);
  expect(await Promise.all([ask(false), ask(true), ask(true)])).toEqual(["away", "away", "away"]);
  expect(asked()).toBe(4);
  // The rest is twice as long now.
  clock.advance(1999);
  expect(await ask(true)).toBe("away");
  clock.advance(1);
  expect(await ask(true)).toBe("up");
  expect(told).toEqual(["open: away", "closed"]);
});

test("the rest has an end however often it is tried in vain, and those under way make it no longer", async () => {
  const { clock, ask, asked } = start();
  await Promise.all(Array.from({ length: 20 }, () => ask(false)));
  expect(asked()).toBe(20);
  clock.advance(1000);
  for (let at = 0; at < 8; at++) {
    await ask(false);
    clock.advance(3000);
  }
  expect(await ask(true)).toBe("up");
  expect(asked()).toBe(29);
});

test("failures with a success in between do not add up, and other errors are none", async () => {
  const { ask, breaker, asked } = start();
  for (let at = 0; at < 10; at++) await ask(at % 3 === 2);
  const bug = breaker.run(async () => {
    throw new TypeError("a bug");
  });
  expect(await bug.catch(String)).toBe("TypeError: a bug");
  expect(asked()).toBe(10);
  expect(breaker.isOpen).toBe(false);
});
