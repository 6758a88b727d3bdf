import { isClusterLink } from "../cluster-links.ts";
import { loadYaml } from "../load-yaml.ts";
import { isTree, type Tree } from "../tree.ts";
import { variableAliases } from "./table.ts";

/** A `REGISTRY_*` variable: the key that it sets, and what to. */
export interface RegistryVariable {
  readonly name: string;
  readonly path: readonly string[];
  readonly value: unknown;
}

/** Distribution's YAML has the booleans of YAML 1.1: `yes` and `on`. */
export const yamlOfDistribution = { version: "1.1", logLevel: "error" } as const;

const prefix = "REGISTRY_";
/** The first names the file and is no key of it; the second is of podman, skopeo and buildah. */
const otherVariables = new Set(["REGISTRY_CONFIGURATION_PATH", "REGISTRY_AUTH_FILE"]);

/** In the order in which distribution reads them: `REGISTRY_STORAGE` before what is below it. */
export function registryVariables(
  environment: Readonly<Record<string, string | undefined>>,
): readonly RegistryVariable[] {
  return Object.entries(environment)
    .filter(([name]) => name.startsWith(prefix) && !otherVariables.has(name))
    .flatMap(([name, text = ""]) => {
      const key = name.slice(prefix.length);
      return isClusterLink(key, text) ? [] : [{ name, path: keyOf(key), value: valueOf(text) }];
    })
    .toSorted((a, b) => (a.name < b.name ? -1 : 1));
}

function keyOf(name: string): readonly string[] {
  const key = name.toLowerCase().replaceAll("_", ".");
  for (const [alias, real] of Object.entries(variableAliases)) {
    if (key === alias || key.startsWith(`${alias}.`)) return `${real}${key.slice(alias.length)}`.split(".");
  }
  return key.split(".");
}

/** Distribution reads a variable as YAML; text that is none, such as `[::]:5000`, is meant as it stands. */
function valueOf(text: string): unknown {
  try {
    const value: unknown = loadYaml().parse(text, yamlOfDistribution);
    return value;
  } catch {
    return text;
  }
}

/** The tree with the variables in it; the given one stays as it is. */
export function withVariables(file: Tree, variables: readonly RegistryVariable[]): Tree {
  let tree = byName(file);
  for (const { path, value } of variables) tree = byName(asTree(put(tree, path, value)));
  return tree;
}

const asTree = (value: unknown): Tree => (isTree(value) ? value : {});

/** `storage: filesystem` is short for `storage: {filesystem: {}}`; so is `auth`. */
function byName(tree: Tree): Tree {
  const changed = { ...tree };
  for (const key of ["storage", "auth"]) {
    const value = changed[key];
    if (typeof value === "string" && value !== "") changed[key] = { [value]: {} };
  }
  return changed;
}

function put(node: unknown, path: readonly string[], value: unknown): unknown {
  const [key = "", ...rest] = path;
  if (path.length === 0) return value;
  if (Array.isArray(node) && /^\d+$/.test(key)) {
    const items: unknown[] = [...(node as readonly unknown[])];
    items[Number(key)] = put(items[Number(key)], rest, value);
    return items;
  }
  const tree = asTree(node);
  // A header's name has capitals in the file.
  const known = Object.keys(tree).find((name) => name.toLowerCase() === key) ?? key;
  return { ...tree, [known]: put(Object.hasOwn(tree, known) ? tree[known] : undefined, rest, value) };
}
