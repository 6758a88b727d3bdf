import { expect, test } from "bun:test";
import { returnPath, signInPath } from "./return-path.ts";

test.each(["/device", "/device?user_code=BCDF-GHJK", "/acme/app/tags/", "/a/b.c~d@e:f?x=%2F&y=/z"])(
  "%p is a place of ours",
  (text) => {
    expect(returnPath(text)).toBe(text);
    expect(new URL(text, "https://registry.example").host).toBe("registry.example");
  },
);

test.each([
  "//evil.example",
  "///evil.example",
  String.raw`/\evil.example`,
  String.raw`\\evil.example`,
  "/%5cevil.example",
  "/%2fevil.example",
  "https:evil.example",
  "https://evil.example/",
  "\t//evil.example",
  "/\t/evil.example",
  "/\n/evil.example",
  " /x",
  "/x y",
  "/..//evil.example",
  "javascript:alert(1)",
  "//user:password@evil.example",
  "evil.example",
  "?x",
  "",
  `/${"a".repeat(1024)}`,
  "/é",
  "/x#y",
  undefined,
  null,
])("%p leads nowhere else", (text) => {
  expect(returnPath(text)).toBe(signInPath);
});
