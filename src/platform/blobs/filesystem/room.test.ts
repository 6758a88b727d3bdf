import { expect, test } from "bun:test";
import { watchRoom } from "./room.ts";

const outcomeOf = async (promise: Promise<unknown>): Promise<unknown> => {
  const [outcome] = await Promise.allSettled([promise]);
  return outcome.status === "rejected" ? (outcome.reason as { code?: string }).code : "well";
};

/** A disk in the hand of the test. */
function disk(totalBytes: number, freeBytes: number) {
  const state = { freeBytes, asked: 0 };
  const measure = async () => {
    state.asked += 1;
    return { bsize: 1, blocks: totalBytes, bavail: state.freeBytes };
  };
  return { state, measure };
}

const mebibyte = 2 ** 20;
const gibibyte = 2 ** 30;

test("what is written never reaches into the reserve by more than a write, and the disk is seldom asked", async () => {
  const { state, measure } = disk(10 * gibibyte, 200 * mebibyte);
  const room = watchRoom("/", 100 * mebibyte, measure);
  const chunk = 64 * 1024;
  let written = 0;
  for (;;) {
    if ((await outcomeOf(room.take(chunk))) !== "well") break;
    state.freeBytes -= chunk;
    written += chunk;
  }
  expect(written).toBeWithin(98 * mebibyte, 100 * mebibyte + 2 * chunk);
  expect(state.asked).toBeLessThan(200);
  expect(await outcomeOf(room.take(0))).toBe("ENOSPC");
  state.freeBytes += 50 * mebibyte;
  expect(await outcomeOf(room.take(chunk))).toBe("well");
});

test("it sees within about a second what others have written", async () => {
  const { state, measure } = disk(10 * gibibyte, 5 * gibibyte);
  const room = watchRoom("/", gibibyte, measure);
  expect(await outcomeOf(room.take(1))).toBe("well");
  state.freeBytes = gibibyte;
  for (const deadline = Date.now() + 20_000; (await outcomeOf(room.take(0))) === "well";) {
    if (Date.now() > deadline) throw new Error("not seen");
    await Bun.sleep(50);
  }
});

test("those who ask at once share one answer", async () => {
  const { state, measure } = disk(10 * gibibyte, 5 * gibibyte);
  const room = watchRoom("/", 0.5 * gibibyte, measure);
  await Promise.all(Array.from({ length: 50 }, () => room.take(1000)));
  expect(state.asked).toBe(1);
});

test("the preset is a twentieth, and a gibibyte at most; 0 is none; a disk without a size has no reserve", async () => {
  const reserveOf = async (total: number, given?: number): Promise<number> =>
    (await watchRoom("/", given, disk(total, total).measure).look()).reserveBytes;
  expect(await reserveOf(100 * mebibyte)).toBe(5 * mebibyte);
  expect(await reserveOf(1000 * gibibyte)).toBe(gibibyte);
  expect(await reserveOf(1000 * gibibyte, 7)).toBe(7);
  const { state, measure } = disk(gibibyte, 0);
  expect(await outcomeOf(watchRoom("/", 0, measure).take(1000))).toBe("well");
  expect(state.asked).toBe(0);
  expect(await outcomeOf(watchRoom("/", undefined, disk(0, 0).measure).take(1000))).toBe("well");
});

test("a folder of this machine has room", async () => {
  const { freeBytes, reserveBytes } = await watchRoom("/", undefined).look();
  expect(freeBytes).toBeGreaterThan(0);
  expect(reserveBytes).toBeGreaterThan(0);
});
