import { describe, expect, test } from "bun:test";
import { formatScope, parseScopes } from "./scope.ts";

const parsed = (...values: readonly string[]): readonly string[] | "too-many" => {
  const result = parseScopes(values);
  return result.kind === "too-many" ? "too-many" : result.scopes.map(formatScope);
};

describe("parseScopes", () => {
  test.each<[string, readonly string[], readonly string[]]>([
    ["one", ["repository:a/b:pull"], ["repository:a/b:pull"]],
    ["the order of the actions stays", ["repository:a/b:push,pull"], ["repository:a/b:push,pull"]],
    ["several values", ["repository:a:pull", "repository:b:push"], ["repository:a:pull", "repository:b:push"]],
    ["several in one value", ["repository:a:pull  repository:b:pull"], ["repository:a:pull", "repository:b:pull"]],
    ["a class", ["repository(plugin):a:pull"], ["repository:a:pull"]],
    ["a host and port", ["repository:example.com:5000/a:pull"], ["repository:example.com:5000/a:pull"]],
    ["the catalog", ["registry:catalog:*"], ["registry:catalog:*"]],
    ["unknown actions are dropped", ["repository:a:pull,fly,PUSH"], ["repository:a:pull"]],
    ["unknown types are dropped", ["planet:a:pull", "__proto__:a:pull"], []],
    ["repeated resources are one", ["repository:a:pull", "repository:a:pull,delete"], ["repository:a:pull,delete"]],
    ["what does not parse is dropped", ["", "repository", "repository:a", "repository::pull", ":::"], []],
  ])("%s", (_, values, want) => {
    expect(parsed(...values)).toEqual(want);
  });

  test("number and length are bounded", () => {
    expect(
      parsed(Array.from({ length: 64 }, (_, index) => `repository:r${String(index)}:pull`).join(" ")),
    ).toHaveLength(64);
    expect(parsed(...Array.from({ length: 65 }, (_, index) => `repository:r${String(index)}:pull`))).toBe("too-many");
    expect(parsed(`repository:${"a".repeat(7000)}:pull`)).toBe("too-many");
  });
});
