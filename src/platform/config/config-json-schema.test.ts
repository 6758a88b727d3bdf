import { describe, expect, it } from "bun:test";
import { configJsonSchema } from "./config-json-schema.ts";
import { settingDescriptions } from "./setting-descriptions.ts";
import { settingPaths } from "./setting-paths.ts";

interface Node {
  readonly $schema?: string;
  readonly properties?: Readonly<Record<string, Node>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: boolean;
  readonly description?: string;
  readonly [keyword: string]: unknown;
}

const schema = configJsonSchema() as Node;

const objectsOf = (node: Node): readonly Node[] =>
  node.properties === undefined ? [] : [node, ...Object.values(node.properties).flatMap(objectsOf)];

const leavesOf = (node: Node, path: string): ReadonlyMap<string, Node> =>
  new Map(
    Object.entries(node.properties ?? {}).flatMap(([key, child]) => {
      const below = path === "" ? key : `${path}.${key}`;
      return child.properties === undefined ? [[below, child] as const] : [...leavesOf(child, below)];
    }),
  );

describe("the JSON Schema", () => {
  it("has every setting, and refuses any other key", () => {
    expect([...leavesOf(schema, "").keys()]).toEqual([...settingPaths]);
    const objects = objectsOf(schema);
    expect(objects.length).toBeGreaterThan(5);
    for (const { additionalProperties } of objects) expect(additionalProperties).toBe(false);
  });

  it("requires nothing: every setting has a default or may be left out", () => {
    for (const { required } of objectsOf(schema)) expect(required).toBeUndefined();
  });

  it("says type, limits and default of a setting in the draft that editors know", () => {
    expect(schema.$schema).toBe("http://json-schema.org/draft-07/schema#");
    const leaves = leavesOf(schema, "");
    expect(leaves.get("collect.intervalSeconds")).toMatchObject({
      type: "integer",
      minimum: 1,
      maximum: 86_400,
      default: 60,
    });
    expect(leaves.get("access.mode")).toMatchObject({ enum: ["standard", "open"], default: "standard" });
    expect(leaves.get("secret")).toMatchObject({ type: "string", writeOnly: true });
  });

  it("describes every setting, and none that is gone", () => {
    for (const [path, { description }] of leavesOf(schema, "")) expect(description, path).toBeString();
    expect(Object.keys(settingDescriptions).filter((path) => !settingPaths.includes(path))).toEqual([]);
  });
});
