import { describe, expect, it } from "bun:test";
import { githubIssuer, holds, valuesOf } from "./claims.ts";

describe("a claim", () => {
  const claims = {
    iss: "https://issuer.example",
    text: "a",
    number: 12,
    yes: true,
    list: ["a", 1, { b: 1 }],
    "https://example/claim": "named by an address",
    "a.b": "with a dot",
    inside: { "kubernetes.io/name": { uid: "u-1" }, "a~b": "tilde" },
    nothing: null,
    huge: 2 ** 60,
  };

  it.each<[string, readonly string[]]>([
    ["text", ["a"]],
    ["number", ["12"]],
    ["yes", ["true"]],
    ["list", ["a", "1"]],
    ["https://example/claim", ["named by an address"]],
    ["a.b", ["with a dot"]],
    ["/inside/kubernetes.io~1name/uid", ["u-1"]],
    ["/inside/a~0b", ["tilde"]],
    ["/text", ["a"]],
    ["missing", []],
    ["/inside/missing/uid", []],
    ["/text/length", []],
    ["/list/0", []],
    ["nothing", []],
    ["huge", []],
    ["inside", []],
    ["toString", []],
    ["/inside/__proto__/constructor", []],
    ["__proto__", []],
  ])("%s says %j", (claim, values) => expect(valuesOf(claims, claim)).toEqual(values));

  it.each<[pattern: string, value: string, boolean]>([
    ["main", "main", true],
    ["main", "main2", false],
    ["main", "a main", false],
    ["refs/heads/*", "refs/heads/a/b", true],
    ["refs/heads/*", "x/refs/heads/a", false],
    ["ref.", "refs", false],
    ["(a|b)", "a", false],
    ["Main", "main", false],
    ["*", "x".repeat(2049), false],
  ])("has to be all of %s: %s", (pattern, value, fits) => expect(holds(pattern, [value])).toBe(fits));
});

const subjects = (iss: string, sub: string) => valuesOf({ iss, sub }, "sub");

describe("the subject of a GitHub token", () => {
  it("with ids is the one without them too", () => {
    const sub = "repo:acme@123/app@456:ref:refs/heads/main";
    for (const issuer of [githubIssuer, "https://github.example/_services/token"])
      expect(subjects(issuer, sub)).toEqual([sub, "repo:acme/app:ref:refs/heads/main"]);
  });

  it.each([
    "repo:acme/app:ref:refs/heads/main",
    "repo:acme@x/app@456:ref:refs/heads/main",
    "repo:evil@1/repo:acme@1/app@2:ref:refs/heads/main",
    "repo:acme@1/app@2",
    "xrepo:acme@1/app@2:ref:refs/heads/main",
  ])("%s is no other", (sub) => expect(subjects(githubIssuer, sub)).toEqual([sub]));

  it("means nothing elsewhere", () => {
    const sub = "repo:acme@123/app@456:ref:refs/heads/main";
    expect(subjects("https://gitlab.example", sub)).toEqual([sub]);
  });
});
