import { isClusterLink } from "./cluster-links.ts";
import { settingPaths, toValue, variableName } from "./setting-paths.ts";
import { type Tree, valueAt } from "./tree.ts";

/** Where a setting has its value from; one without an origin has its default. */
export interface Origin {
  readonly kind: "file" | "environment" | "flag";
  /** The file, with the key of distribution's where it is one of its; the variable; the flag. */
  readonly name: string;
}

export interface Setting {
  readonly path: string;
  readonly value: unknown;
  readonly origin: Origin;
}

type Texts = Readonly<Record<string, string | undefined>>;

export function settingsOfFile(tree: Tree, file: string): readonly Setting[] {
  return settingPaths.flatMap((path) => {
    const value = valueAt(tree, path.split("."));
    return value === undefined ? [] : [{ path, value, origin: { kind: "file", name: file } }];
  });
}

/** @param flags by the path of their setting */
export const settingsOfFlags = (flags: Texts): readonly Setting[] =>
  Object.entries(flags).flatMap(([path, text]) => {
    if (text === undefined) return [];
    const name = `--${path.split(".").at(-1) ?? ""}`;
    return [{ path, value: toValue(path, text), origin: { kind: "flag", name } }];
  });

const prefix = "BERTH_";
/** Read before the configuration, or no part of it. */
const otherVariables = new Set(["BERTH_ADMIN_PASSWORD", "BERTH_CONFIG", "BERTH_SERVER", "BERTH_TOKEN"]);
const testPrefix = "BERTH_TEST_";
const paths = new Map(settingPaths.map((path) => [variableName(path), path]));

/** Settings of the `BERTH_*` variables, and a problem for each that is none. */
export function settingsOfVariables(environment: Texts): {
  readonly settings: readonly Setting[];
  readonly problems: readonly string[];
} {
  const settings: Setting[] = [];
  const problems: string[] = [];
  for (const [name, text] of Object.entries(environment)) {
    if (!name.startsWith(prefix) || text === undefined) continue;
    if (otherVariables.has(name) || name.startsWith(testPrefix)) continue;
    const path = paths.get(name);
    if (path !== undefined) settings.push({ path, value: toValue(path, text), origin: { kind: "environment", name } });
    else if (!isClusterLink(name.slice(prefix.length), text)) problems.push(`${name}: there is no such setting`);
  }
  return { settings, problems };
}
