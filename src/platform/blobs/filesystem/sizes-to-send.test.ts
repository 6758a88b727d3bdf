import { afterAll, expect, it } from "bun:test";
import { closeSync, openSync, rmSync, writeFileSync } from "node:fs";
import { mkdtemp, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isAbsent } from "../../storage/is-absent.ts";
import { sizesToSend } from "./sizes-to-send.ts";

const folder = await mkdtemp(join(tmpdir(), "berth-sizes-"));
afterAll(() => rm(folder, { recursive: true, force: true }));

function counted() {
  let looks = 0;
  const sizeOf = sizesToSend(async (path) => {
    looks++;
    return stat(path).catch((error: unknown) => {
      if (isAbsent(error)) return undefined;
      throw error;
    });
  });
  return { sizeOf, looks: () => looks };
}

it("goes to the disk by way of a thread once, and afterwards answers within its turn of the event loop", async () => {
  const path = join(folder, "warm");
  writeFileSync(path, "12345");
  const { sizeOf, looks } = counted();
  expect(await sizeOf(path)).toBe(5);
  let isLater = false;
  setImmediate(() => (isLater = true));
  expect(await sizeOf(path)).toBe(5);
  expect({ isLater, looks: looks() }).toEqual({ isLater: false, looks: 1 });
});

it("sees at once what became of a file that was at hand: another size, its end, its return", async () => {
  const path = join(folder, "changing");
  writeFileSync(path, "12345");
  const { sizeOf } = counted();
  await sizeOf(path);
  writeFileSync(path, "123");
  expect(await sizeOf(path)).toBe(3);
  rmSync(path);
  expect(await sizeOf(path)).toBeUndefined();
  expect(await sizeOf(path)).toBeUndefined();
  writeFileSync(path, "1234");
  expect(await sizeOf(path)).toBe(4);
});

it("leaves no descriptor open", async () => {
  const path = join(folder, "many");
  writeFileSync(path, "1");
  const { sizeOf } = counted();
  const nextDescriptor = (): number => {
    const descriptor = openSync(path, "r");
    closeSync(descriptor);
    return descriptor;
  };
  const before = nextDescriptor();
  for (let times = 0; times < 100; times++) await sizeOf(path);
  expect(nextDescriptor()).toBeLessThan(before + 50);
});
