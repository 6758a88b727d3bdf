import { describe, expect, it } from "bun:test";
import { randomBytes } from "node:crypto";
import { sizeOf } from "../../platform/blobs/piece.ts";
import { gatherCrumbs } from "./gather-crumbs.ts";

const kibibyte = 1024;

async function* from(crumbs: readonly Uint8Array[], then?: Error): AsyncGenerator<Uint8Array> {
  for (const crumb of crumbs) yield crumb;
  if (then !== undefined) throw then;
}

const crumbsOf = (bytes: Buffer, size: number): Uint8Array[] =>
  Array.from({ length: Math.ceil(bytes.length / size) }, (_, at) =>
    Uint8Array.from(bytes.subarray(at * size, (at + 1) * size)),
  );

describe("crumbs of a body", () => {
  it("become pieces that hold the same bytes in the same order", async () => {
    const bytes = randomBytes(1000 * kibibyte + 7);
    for (const size of [37 * kibibyte, 64 * kibibyte, 300 * kibibyte, bytes.length]) {
      const pieces = await Array.fromAsync(gatherCrumbs(from(crumbsOf(bytes, size))));
      expect(Buffer.concat(pieces.flat()).equals(bytes)).toBe(true);
      for (const piece of pieces.slice(0, -1)) expect(sizeOf(piece)).toBeGreaterThanOrEqual(128 * kibibyte);
    }
  });

  it("are never more than a few, however small: a piece of single bytes ends too", async () => {
    const pieces = await Array.fromAsync(gatherCrumbs(from(crumbsOf(randomBytes(1000), 1))));
    expect(pieces.map(sizeOf)).toEqual([256, 256, 256, 232]);
  });

  it("are asked for once in a turn of the event loop, so that more of them come as one", async () => {
    let turns = 0;
    const count = (): void => {
      turns += 1;
      clock = setImmediate(count);
    };
    let clock = setImmediate(count);
    const askedIn: number[] = [];
    async function* source(): AsyncGenerator<Uint8Array> {
      for (const crumb of crumbsOf(randomBytes(5000), 1000)) {
        askedIn.push(turns);
        yield crumb;
      }
    }
    const pieces = await Array.fromAsync(gatherCrumbs(source()));
    clearImmediate(clock);
    expect(pieces.map(sizeOf)).toEqual([5000]);
    expect(new Set(askedIn).size).toBe(askedIn.length);
  });

  it("are not copied, be they a piece by themselves or together", async () => {
    for (const sizes of [
      [300, 300],
      [1, 300],
      [60, 60, 60],
    ]) {
      const crumbs = sizes.map((size) => new Uint8Array(size * kibibyte));
      const given = (await Array.fromAsync(gatherCrumbs(from(crumbs)))).flat();
      expect(given.map((chunk, at) => chunk === crumbs[at])).toEqual(crumbs.map(() => true));
    }
  });

  it("are given before the source's failure is told, and nothing comes of nothing", async () => {
    const gone = new Error("gone");
    const given: number[] = [];
    const reading = (async () => {
      for await (const piece of gatherCrumbs(from(crumbsOf(randomBytes(3000), 1000), gone))) given.push(sizeOf(piece));
    })();
    const [outcome] = await Promise.allSettled([reading]);
    expect(outcome.status === "rejected" && outcome.reason).toBe(gone);
    expect(given).toEqual([3000]);
    expect(await Array.fromAsync(gatherCrumbs(from([])))).toEqual([]);
  });

  it("let the source end with who reads no further", async () => {
    let isEnded = false;
    async function* endless(): AsyncGenerator<Uint8Array> {
      try {
        for (;;) yield new Uint8Array(300 * kibibyte);
      } finally {
        isEnded = true;
      }
    }
    for await (const piece of gatherCrumbs(endless())) {
      expect(sizeOf(piece)).toBe(300 * kibibyte);
      break;
    }
    expect(isEnded).toBe(true);
  });
});
