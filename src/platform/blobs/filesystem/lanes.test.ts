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
