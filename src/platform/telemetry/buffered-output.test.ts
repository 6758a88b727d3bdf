import { afterEach, beforeEach, expect, it } from "bun:test";
import { closeSync, openSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { bufferedOutput } from "./buffered-output.ts";

const limits = {
  intervalMs: 100,
  batchLength: 1000,
  mostLength: 1_000_000,
  omitted: (lines: number): string => `${lines} left out\n`,
};

let path = "";
let fd = -1;
beforeEach(() => {
  path = join(tmpdir(), `berth-output-${crypto.randomUUID()}`);
  fd = openSync(path, "w");
});
afterEach(() => {
  closeSync(fd);
  rmSync(path);
});
const written = (): string => readFileSync(path, "utf8");

it("gathers until the interval is over", async () => {
  const output = bufferedOutput(fd, limits);
  output.write("one\n");
  output.write("two\n");
  await Bun.sleep(20);
  expect(written()).toBe("");
  await Bun.sleep(500);
  expect(written()).toBe("one\ntwo\n");
});

it("writes a batch that is large enough before the interval is over", async () => {
  const output = bufferedOutput(fd, { ...limits, intervalMs: 60_000 });
  const line = `${"x".repeat(999)}\n`;
  output.write(line);
  for (const deadline = Date.now() + 5000; written() === "" && Date.now() < deadline;) await Bun.sleep(5);
  expect(written()).toBe(line);
});

it("keeps the order, and a drain waits for all of it", async () => {
  const output = bufferedOutput(fd, limits);
  const lines = Array.from({ length: 20_000 }, (_, at) => `line ${at}\n`);
  for (const line of lines) output.write(line);
  await output.drain();
  expect(written()).toBe(lines.join(""));
  await output.drain();
});

it("leaves out what is too much, and says how much", async () => {
  const output = bufferedOutput(fd, { ...limits, batchLength: 1_000_000, mostLength: 9 });
  for (const line of ["one\n", "two\n", "three\n", "four\n"]) output.write(line);
  await output.drain();
  expect(written()).toBe("one\ntwo\n2 left out\n");
});

it("writes what has gathered when the process is about to end", () => {
  const output = bufferedOutput(fd, limits);
  output.write("last words\n");
  output.flushSync();
  expect(written()).toBe("last words\n");
});

it("writes no more often because one write has just ended", async () => {
  const output = bufferedOutput(fd, { ...limits, intervalMs: 60_000 });
  const batch = `${"x".repeat(999)}\n`;
  output.write(batch);
  for (const deadline = Date.now() + 5000; written() === "" && Date.now() < deadline;) await Bun.sleep(1);
  output.write("waits\n");
  await Bun.sleep(50);
  expect(written()).toBe(batch);
  output.flush();
  output.write("waits too\n");
  for (const deadline = Date.now() + 5000; written() === batch && Date.now() < deadline;) await Bun.sleep(1);
  expect(written()).toBe(`${batch}waits\n`);
  await output.drain();
  expect(written()).toBe(`${batch}waits\nwaits too\n`);
});
