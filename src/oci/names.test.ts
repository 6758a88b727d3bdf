import { describe, expect, test } from "bun:test";
import { parseRepositoryName, parseTag } from "./names.ts";
import { parseReference } from "./reference.ts";

describe("repository names", () => {
  test.each([
    "a",
    "0",
    "my-app",
    "team/app",
    "a.b",
    "a_b",
    "a__b",
    "a-b",
    "a----b",
    "a/b/c/d/e/f",
    "library/blobs/uploads",
    "v2/manifests/tags",
    "a".repeat(255),
    `${"a/".repeat(127)}a`,
  ])("%s is one", (text) => {
    expect(String(parseRepositoryName(text))).toBe(text);
  });

  test.each([
    "",
    "/",
    "a/",
    "/a",
    "a//b",
    "A",
    "aB",
    ".",
    "..",
    "a/../b",
    "./a",
    ".a",
    "a.",
    "a..b",
    "_a",
    "a_",
    "a___b",
    "-a",
    "a-",
    "a._b",
    "a-_b",
    "a b",
    "a\n",
    "a\0",
    "a:b",
    "a@b",
    "a%2fb",
    String.raw`a\b`,
    "é",
    "ａ",
    "a?b",
    "a".repeat(256),
  ])("%j is none", (text) => {
    expect(parseRepositoryName(text)).toBeUndefined();
  });

  test("are read in no time, however they are made to be slow", () => {
    const slow = [`${"a-".repeat(127)}!`, `${"a".repeat(254)}!`, `${"-".repeat(254)}a`, `${"a_".repeat(100_000)}!`];
    const started = performance.now();
    for (const text of slow) expect(parseRepositoryName(text)).toBeUndefined();
    expect(performance.now() - started).toBeLessThan(100);
  });
});

describe("tags", () => {
  test.each(["a", "_", "latest", "v1.2.3", "1", "_x.Y-z", "A".repeat(128), "sha256-abc"])("%s is one", (text) => {
    expect(String(parseTag(text))).toBe(text);
  });

  test.each(["", ".", ".a", "-a", "a:b", "a/b", "a b", "a\n", "a\0", "a+b", "é", "A".repeat(129)])(
    "%j is none",
    (text) => {
      expect(parseTag(text)).toBeUndefined();
    },
  );
});

/** Without the brands of what only a parser makes. */
const parsed = (text: string): unknown => parseReference(text);

describe("references", () => {
  const digest = `sha256:${"a".repeat(64)}`;

  test("a colon tells a digest from a tag", () => {
    expect(parsed("latest")).toEqual({ kind: "tag", tag: "latest" });
    expect(parsed(digest)).toEqual({ kind: "digest", digest });
    expect(parsed(digest.replace(":", "-"))).toEqual({ kind: "tag", tag: digest.replace(":", "-") });
  });

  test.each([
    ["sha256:abc", "bad-digest"],
    ["a:b", "bad-digest"],
    [":", "bad-digest"],
    ["", "bad-tag"],
    ["a/b", "bad-tag"],
    ["x".repeat(129), "bad-tag"],
  ] as const)("%j is a %s", (text, kind) => {
    expect(parseReference(text)).toEqual({ kind });
  });
});
