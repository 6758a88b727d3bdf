/** What a configuration file holds before it is checked. */
export type Tree = { [key: string]: unknown };

export const isTree = (value: unknown): value is Tree =>
  typeof value === "object" && value !== null && !Array.isArray(value);

export function valueAt(tree: unknown, path: readonly string[]): unknown {
  let node = tree;
  for (const key of path) {
    if (!isTree(node) || !Object.hasOwn(node, key)) return undefined;
    node = node[key];
  }
  return node;
}

export function assign(tree: Tree, path: readonly string[], value: unknown): void {
  const [key = "", ...rest] = path;
  if (rest.length === 0) {
    tree[key] = value;
    return;
  }
  const child = Object.hasOwn(tree, key) ? tree[key] : {};
  // What stands in the place of a section stays, and the schema refuses it.
  if (!isTree(child)) return;
  tree[key] = child;
  assign(child, rest, value);
}
