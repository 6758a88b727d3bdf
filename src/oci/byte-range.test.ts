import { describe, expect, test } from "bun:test";
import { lengthOf, parseRange, parseUploadRange } from "./byte-range.ts";

const ranges = (...pairs: readonly (readonly [number, number])[]): unknown => ({
  kind: "ranges",
  ranges: pairs.map(([start, end]) => ({ start, end })),
});

const many = (count: number) => `bytes=${Array.from({ length: count }, (_, at) => `${at * 2}-${at * 2}`).join(",")}`;

describe("ranges of a body of ten bytes", () => {
  test.each([
    ["bytes=0-0", [[0, 0]]],
    ["bytes=0-9", [[0, 9]]],
    ["bytes=3-", [[3, 9]]],
    ["bytes=9-", [[9, 9]]],
    ["bytes=0-100", [[0, 9]]],
    ["bytes=-1", [[9, 9]]],
    ["bytes=-10", [[0, 9]]],
    ["bytes=-11", [[0, 9]]],
    ["BYTES=1-2", [[1, 2]]],
    [
      "bytes= 1-2 , 4-5",
      [
        [1, 2],
        [4, 5],
      ],
    ],
    [
      "bytes=0-0,1-1,2-2",
      [
        [0, 0],
        [1, 1],
        [2, 2],
      ],
    ],
    ["bytes=1-2,20-30", [[1, 2]]],
    ["bytes=0-99999999999999999999999999", [[0, 9]]],
  ] as const)("%s", (header, expected) => {
    const parsed: unknown = parseRange(header, 10);
    expect(parsed).toEqual(ranges(...expected));
  });

  test.each([undefined, "", "items=0-1", "bytes", "bytes 0-1", "octets=0-1"])("%j is the whole", (header) => {
    expect(parseRange(header, 10)).toEqual({ kind: "whole" });
  });

  test.each([
    "bytes=",
    "bytes=-",
    "bytes=a-b",
    "bytes=1",
    "bytes=1-2-3",
    "bytes=--1",
    "bytes=2-1",
    "bytes=10-",
    "bytes=10-20",
    "bytes=-0",
    "bytes=0x1-2",
    "bytes=1.5-2",
    "bytes=1-2;3-4",
    "bytes=0-5,3-7",
    "bytes=5-6,1-2",
    "bytes=0-1,1-2",
    "bytes=1-2,,4-5",
    "bytes=99999999999999999999-",
    "bytes=٠-٩",
  ])("%s cannot be satisfied", (header) => {
    expect(parseRange(header, 10)).toEqual({ kind: "unsatisfiable" });
  });

  test("an empty body has no range", () => {
    for (const header of ["bytes=0-0", "bytes=0-", "bytes=-1", "bytes=-0"]) {
      expect(parseRange(header, 0)).toEqual({ kind: "unsatisfiable" });
    }
    expect(parseRange(undefined, 0)).toEqual({ kind: "whole" });
  });

  test("1024 of them are taken and one more is not, at once and however long the header is", () => {
    expect(parseRange(many(1024), 10_000).kind).toBe("ranges");
    expect(parseRange(many(1025), 10_000).kind).toBe("unsatisfiable");
    const started = performance.now();
    expect(parseRange(`bytes=${"0-0,".repeat(1_000_000)}`, 10).kind).toBe("unsatisfiable");
    expect(performance.now() - started).toBeLessThan(200);
  });

  test("never ask for more than the body, whatever they say", () => {
    const sample = ["0-", "-5", "3-4", "8-9", "0-0", "9-", "20-", "-0", "5-2"];
    for (const one of sample)
      for (const two of sample)
        for (const three of sample) {
          const parsed = parseRange(`bytes=${one},${two},${three}`, 10);
          if (parsed.kind !== "ranges") continue;
          const total = parsed.ranges.reduce((sum, range) => sum + lengthOf(range), 0);
          expect(total).toBeLessThanOrEqual(10);
        }
  });
});

describe("the range of an upload's chunk", () => {
  test.each([
    ["0-0", { start: 0, end: 0 }],
    ["5-9", { start: 5, end: 9 }],
    ["0-999999999999999", { start: 0, end: 999_999_999_999_999 }],
  ])("%s", (header, range) => {
    expect(parseUploadRange(header)).toEqual(range);
  });

  test.each([
    "",
    "-",
    "5",
    "5-",
    "-5",
    "9-5",
    "bytes 0-4/5",
    "bytes=0-4",
    "0-4/5",
    " 0-4",
    "0-9999999999999999",
    "1e3-2e3",
  ])("%j is none", (header) => {
    expect(parseUploadRange(header)).toBeUndefined();
  });
});
