import { expect, it } from "bun:test";
import { warningHeaders } from "./warning.ts";

it("has the one form that clients read", () => {
  expect(warningHeaders(["two children are absent"])).toEqual({ warning: ['299 - "two children are absent"'] });
});

it("escapes quotes and backslashes, and leaves nothing that ends the header", () => {
  expect(warningHeaders(['a "b" \\ c\r\nX: y'])).toEqual({ warning: ['299 - "a \\"b\\" \\\\ c??X: y"'] });
});

it("is not there without a text", () => {
  expect(warningHeaders([])).toEqual({});
});

it("has no more than 4096 bytes in all", () => {
  const { warning } = warningHeaders(Array.from({ length: 100 }, () => "x".repeat(100)));
  expect(String(warning).length).toBeLessThanOrEqual(4096 + 100);
  expect(warningHeaders(["x".repeat(5000)])).toEqual({});
});
