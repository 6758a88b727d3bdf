import { expect, it } from "bun:test";
import { loggable } from "./loggable.ts";

it("leaves a text that can be seen as it is", () => {
  const text = 'docker/28.5 go/1.24 (linux; grüße 漢字 🐳) "quoted" \\';
  expect(loggable(text, 100)).toBe(text);
});

it("has no more than so many characters, and says that there were more", () => {
  expect(loggable("x".repeat(10), 10)).toBe("x".repeat(10));
  expect(loggable("x".repeat(11), 10)).toBe(`${"x".repeat(10)}...`);
  // The cut goes through a pair of surrogates.
  expect(loggable("🐳🐳", 3)).toBe("🐳?...");
});

it("shows nothing that a terminal would obey, and nothing that hides or turns text", () => {
  const signs = [
    "\n",
    "\r",
    "\t",
    "\0",
    "\x1b[31m",
    "\x7f",
    "\x9b31m",
    "\u2028",
    "\u202e",
    "\u2066",
    "\u200b",
    "\ufeff",
    "\ud800",
  ];
  for (const sign of signs) expect(loggable(`a${sign}b`, 100)).toMatch(/^a\?(?:\[?31m)?b$/);
});
