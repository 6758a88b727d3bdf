import { afterAll, beforeAll, expect, test } from "bun:test";
import { type FileHandle, mkdtemp, open, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openLanes } from "./lanes.ts";
import { watchRoom } from "./room.ts";
import { writeAll } from "./write-all.ts";

const mebibyte = 2 ** 20;

let folder = "";
beforeAll(async () => void (folder = await mkdtemp(join(tmpdir(), "berth-write-all-"))));
afterAll(() => rm(folder, { recursive: true, force: true }));

async function* pieces(count: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < count; at++) yield new Uint8Array(32 * mebibyte).fill(at + 1);
}

/** Writes so many pieces of 32 MiB to a new file, by a store whose syncs are the test's. */
async function write(count: number, syncAhead: (file: FileHandle) => Promise<void>): Promise<number> {
  const file = await open(join(folder, crypto.randomUUID()), "w+");
  try {
    const disk = { lanes: openLanes(1, 60_000), room: watchRoom(folder, 0) };
    return await writeAll({ file, offset: 0, ...disk, syncAhead: () => syncAhead(file) }, pieces(count));
  } finally {
    await file.close();
  }
}

test("what is written is synced each 64 MiB while more comes, one sync at a time, and what is small is not", async () => {
  const written: number[] = [];
  let running = 0;
  const sync = async (file: FileHandle): Promise<void> => {
    expect(++running).toBe(1);
    written.push((await file.stat()).size / mebibyte);
    running -= 1;
  };
  expect(await write(2, sync)).toBe(64 * mebibyte);
  expect(written).toEqual([]);
  expect(await write(6, sync)).toBe(192 * mebibyte);
  expect(written[0]).toBeGreaterThanOrEqual(64);
  expect(written.length).toBeLessThanOrEqual(2);
});

test("one that failed is the end of it, whatever comes and whatever a later one would say", async () => {
  for (const count of [3, 5]) {
    const lost = new Error("the disk failed");
    const outcomes = [lost];
    const [outcome] = await Promise.allSettled([
      write(count, async () => {
        const failure = outcomes.shift();
        if (failure !== undefined) throw failure;
      }),
    ]);
    expect(outcome).toEqual({ status: "rejected", reason: lost });
  }
});

test("a body that breaks waits for the sync that runs: its file is still needed", async () => {
  const { promise: finish, resolve } = Promise.withResolvers<void>();
  const gone = new Error("gone");
  let isSynced = false;
  async function* breaking(): AsyncGenerator<Uint8Array> {
    yield* pieces(3);
    setTimeout(resolve, 20);
    throw gone;
  }
  const file = await open(join(folder, "breaking"), "w+");
  const disk = { lanes: openLanes(1, 60_000), room: watchRoom(folder, 0) };
  const syncAhead = async (): Promise<void> => {
    await finish;
    isSynced = true;
  };
  const [outcome] = await Promise.allSettled([writeAll({ file, offset: 0, ...disk, syncAhead }, breaking())]);
  await file.close();
  expect(outcome).toEqual({ status: "rejected", reason: gone });
  expect(isSynced).toBe(true);
});

test("where the disk is behind, the next piece is left with the client until this one is written", async () => {
  const lanes = openLanes(1, 60_000);
  const hangs = Promise.withResolvers<void>();
  const before = lanes.run(() => hangs.promise);
  const wasBehind: boolean[] = [];
  async function* asked(): AsyncGenerator<Uint8Array> {
    for (let at = 0; at < 3; at++) {
      wasBehind.push(lanes.isBehind());
      yield new Uint8Array(mebibyte);
    }
  }
  const file = await open(join(folder, "behind"), "w+");
  const disk = { lanes, room: watchRoom(folder, 0), syncAhead: async () => {} };
  const writing = writeAll({ file, offset: 0, ...disk }, asked());
  while (!lanes.isBehind()) await Bun.sleep(1);
  hangs.resolve();
  expect(await writing).toBe(3 * mebibyte);
  await Promise.all([before, file.close()]);
  expect(wasBehind).toEqual([false, false, false]);
});

async function* inParts(): AsyncGenerator<readonly Uint8Array[]> {
  yield ["abc", "", "defgh", "ij"].map((text) => Buffer.from(text));
  yield [Buffer.from("klmnopqr"), Buffer.alloc(0)];
  yield [];
}

test("a piece of several chunks is written as they come, also by a disk that takes a part of it at a time", async () => {
  const path = join(folder, "parts");
  const file = await open(path, "w+");
  const calls: number[] = [];
  const few = {
    write: (chunk: Uint8Array, ...[from, , at]: readonly [number, number, number]) => file.write(chunk, from, 1, at),
    writev(chunks: readonly Uint8Array[], at: number) {
      calls.push(chunks.length);
      return file.write(Buffer.concat(chunks), 0, 4, at);
    },
  };
  const disk = { lanes: openLanes(1, 60_000), room: watchRoom(folder, 0), syncAhead: async () => {} };
  for (const one of [file, few]) {
    // It has what is asked of a file here.
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion
    expect(await writeAll({ file: one as FileHandle, offset: 0, ...disk }, inParts())).toBe(18);
    expect(await readFile(path, "utf8")).toBe("abcdefghijklmnopqr");
    await file.truncate(0);
  }
  expect(calls).toEqual([4, 2, 2, 2]);
  await file.close();
});
