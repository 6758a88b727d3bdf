import { expect, test } from "bun:test";
import { openLanes } from "./lanes.ts";

test("a few run at a time, in their order, also behind one that fails", async () => {
  const lanes = openLanes(2, 60_000);
  let running = 0;
  let most = 0;
  const order: number[] = [];
  const task = (number: number) => async (): Promise<void> => {
    order.push(number);
    most = Math.max(most, ++running);
    await Bun.sleep(1);
    running -= 1;
    if (number === 3) throw new Error("this one fails");
  };
  const numbers = Array.from({ length: 20 }, (_, number) => number);
  const outcomes = await Promise.allSettled(numbers.map((number) => lanes.run(task(number))));
  expect(most).toBe(2);
  expect(order).toEqual(numbers);
  expect(outcomes.map(({ status }) => status === "rejected")).toEqual(numbers.map((number) => number === 3));
});

test("who has no turn within the limit is refused, and the lanes work on when what hung has ended", async () => {
  const lanes = openLanes(1, 30);
  const hangs = Promise.withResolvers<string>();
  const first = lanes.run(() => hangs.promise);
  const [late] = await Promise.allSettled([lanes.run(async () => "late")]);
  expect(late).toMatchObject({ status: "rejected", reason: { code: "EIO" } });
  hangs.resolve("at last");
  expect(await first).toBe("at last");
  expect(await lanes.run(async () => "next")).toBe("next");
});

test("who waits for his turn keeps the lane for a turn of the event loop, and what he brings comes before all who wait", async () => {
  const lanes = openLanes(1, 60_000);
  const order: string[] = [];
  const task = (name: string) => async (): Promise<void> => void order.push(name);
  const runs = Promise.withResolvers<void>();
  const before = lanes.run(() => runs.promise);
  const brings = async (name: string): Promise<void> => {
    await lanes.waitForTurn();
    order.push(`turn of ${name}`);
    await lanes.run(task(name), "first");
  };
  const all = [brings("one"), lanes.run(task("between")), brings("two"), lanes.run(task("end"))];
  expect(lanes.isBehind()).toBe(true);
  runs.resolve();
  await Promise.all([before, ...all]);
  expect(order).toEqual(["turn of one", "one", "between", "turn of two", "two", "end"]);
  expect(lanes.isBehind()).toBe(false);
});

test("who brings nothing after his turn keeps nobody waiting, and who comes first has a limit too", async () => {
  const lanes = openLanes(1, 30);
  const runs = Promise.withResolvers<void>();
  const before = lanes.run(() => runs.promise);
  const turns = Promise.all([lanes.waitForTurn(), lanes.waitForTurn(), lanes.run(async () => "done")]);
  runs.resolve();
  expect(await turns).toEqual([undefined, undefined, "done"]);
  await before;
  const hangs = Promise.withResolvers<void>();
  const hanging = lanes.run(() => hangs.promise);
  const late = await Promise.allSettled([lanes.run(async () => {}, "first"), lanes.waitForTurn()]);
  expect(late).toMatchObject(late.map(() => ({ status: "rejected", reason: { code: "EIO" } })));
  hangs.resolve();
  await hanging;
  expect(lanes.isBehind()).toBe(false);
});
