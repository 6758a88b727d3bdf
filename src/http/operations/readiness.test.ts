import { expect, it } from "bun:test";
import type { Log } from "../../platform/telemetry/log.ts";
import { type ReadinessCheck, trackReadiness } from "./readiness.ts";

const nothing = (): void => undefined;

function track(freshMs: number, timeoutMs: number) {
  const events: string[] = [];
  const note = (event: string): void => void events.push(event);
  const log: Log = {
    debug: note,
    info: note,
    warn: note,
    error: note,
    flush: nothing,
    flushSync: nothing,
    drain: async () => undefined,
  };
  return { events, readiness: trackReadiness(log, { freshMs, timeoutMs }) };
}

const check = (problem: () => Promise<string | undefined>): ReadinessCheck => ({ name: "store", problem });

it("is not ready before it runs and after it has begun to stop", async () => {
  const { readiness } = track(0, 100);
  expect(await readiness.reasons()).toEqual([{ check: "server", reason: "the server is starting" }]);
  readiness.enter("running", [check(async () => undefined)]);
  expect(await readiness.reasons()).toEqual([]);
  readiness.enter("stopping");
  expect(await readiness.reasons()).toEqual([{ check: "server", reason: "the server is stopping" }]);
});

it("says what is wrong, logs it once, and is ready again by itself", async () => {
  const { readiness, events } = track(0, 100);
  let problem: string | undefined = "it is full";
  readiness.enter("running", [check(async () => problem), { name: "database", problem: async () => undefined }]);
  const reasons = [{ check: "store", reason: "it is full" }];
  expect(await readiness.reasons()).toEqual(reasons);
  await Bun.sleep(2);
  expect(await readiness.reasons()).toEqual(reasons);
  problem = undefined;
  await Bun.sleep(2);
  expect(await readiness.reasons()).toEqual([]);
  expect(events).toEqual(["not ready", "ready again"]);
});

it("does not wait for a check that hangs, nor asks it twice", async () => {
  const { readiness } = track(0, 20);
  let asked = 0;
  const hangs = Promise.withResolvers<string | undefined>();
  readiness.enter("running", [
    check(() => {
      asked++;
      return hangs.promise;
    }),
  ]);
  const late = [{ check: "store", reason: "no answer within 20 ms" }];
  expect(await readiness.reasons()).toEqual(late);
  await Bun.sleep(2);
  expect(await readiness.reasons()).toEqual(late);
  expect(asked).toBe(1);
  hangs.resolve(undefined);
  await Bun.sleep(2);
  expect(await readiness.reasons()).toEqual([]);
});

it("asks no more often than its answers grow old, however many ask it", async () => {
  const { readiness } = track(60_000, 100);
  let asked = 0;
  readiness.enter("running", [
    check(async () => {
      asked++;
      return undefined;
    }),
  ]);
  await Promise.all(Array.from({ length: 20 }, () => readiness.reasons()));
  await readiness.reasons();
  expect(asked).toBe(1);
});
