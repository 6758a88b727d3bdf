import { describe, expect, it } from "bun:test";
import { inChunks } from "./in-chunks.ts";

describe("inChunks", () => {
  it.each([0, 1, 499, 500, 501, 1000, 1234])("cuts %d items into pieces of at most 500, none lost", (count) => {
    const items = Array.from({ length: count }, (_, number) => number);
    const pieces = [...inChunks(items)];
    expect(pieces.flat()).toEqual(items);
    expect(pieces.length).toBe(Math.ceil(count / 500));
    expect(pieces.every((piece) => piece.length > 0 && piece.length <= 500)).toBe(true);
  });
});
