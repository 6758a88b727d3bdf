import { isTree, type Tree, valueAt } from "../tree.ts";
import type { Fate, Row } from "./row.ts";
import { distributionTable } from "./table.ts";
import { type RegistryVariable, withVariables } from "./variables.ts";

/** A setting of Berth's that distribution's configuration gives a value. */
export interface TranslatedSetting {
  readonly path: string;
  readonly value: unknown;
  /** The variable's name, or the key in the file. */
  readonly source: string;
  readonly kind: "file" | "environment";
}

export interface Translation {
  readonly settings: readonly TranslatedSetting[];
  /** Whether anything stands before the registry. */
  readonly hasAuth: boolean;
  readonly problems: readonly string[];
  readonly warnings: readonly string[];
}

export interface Original {
  /** What distribution's file holds; `undefined` when the file is not one of its. */
  readonly file: Tree | undefined;
  readonly variables: readonly RegistryVariable[];
  /** What Berth's own file, variables and flags give a setting. */
  readonly own: (path: string) => unknown;
}

type Finding =
  | { readonly kind: "known"; readonly row: Row; readonly value: unknown }
  | { readonly kind: "unknown"; readonly key: string };

/** A file of distribution's says `version: 0.1` and has a storage, which a variable may name. */
export const isDistributionFile = (tree: Tree, variables: readonly RegistryVariable[]): boolean =>
  String(tree["version"]) === "0.1" && ("storage" in tree || variables.some(({ path }) => path[0] === "storage"));

/** What distribution's configuration means here, by the table. */
export function translate({ file, variables, own }: Original): Translation {
  const tree = withVariables(file ?? {}, variables);
  const findings = Object.entries(tree).flatMap(([key, value]) => find([key], value));
  const known = findings.flatMap((finding) => (finding.kind === "known" ? [finding] : []));
  const sourceOf = (key: string): Source => {
    const names = variables.filter(({ path }) => touches(path.join("."), key)).map(({ name }) => name);
    return names.length > 0 ? { kind: "environment", name: names.join(", ") } : { kind: "file", name: key };
  };
  const unknown = findings.flatMap((finding) =>
    finding.kind === "unknown" ? [{ key: finding.key, source: sourceOf(finding.key) }] : [],
  );
  // As in distribution, a variable that it does not know is let be, but for what names a storage or a guard.
  const mayStay = ({ key, source }: (typeof unknown)[number]): boolean =>
    source.kind === "environment" && !/^(?:storage|auth)\b/.test(key);
  const withoutEffect = known.flatMap(({ row }) =>
    row.fate.kind === "no-effect" && row.key !== "version" ? [sourceOf(row.key).name] : [],
  );
  const ignored = unknown.filter(mayStay).map(({ source }) => source.name);
  return {
    hasAuth: hasAuth(tree),
    settings: settingsOf(known, { sourceOf, absentCounts: file !== undefined }),
    problems: [
      ...known.flatMap(({ row, value }) => {
        const reason = stopReason(row.fate, value, own);
        return reason === undefined ? [] : [`${sourceOf(row.key).name}: ${reason}`];
      }),
      ...unknown
        .filter((one) => !mayStay(one))
        .map(({ source }) => `${source.name}: there is no such setting in distribution's configuration`),
      ...(file === undefined ? [] : driverProblem(tree)),
    ],
    warnings: [
      ...sentence("settings of distribution's that have no effect here", withoutEffect),
      ...sentence("not settings of distribution's, and ignored", ignored),
    ],
  };
}

interface Source {
  readonly kind: "file" | "environment";
  readonly name: string;
}

const sentence = (what: string, names: readonly string[]): readonly string[] =>
  names.length === 0 ? [] : [`${what}: ${[...new Set(names)].join(", ")}`];

const touches = (a: string, b: string): boolean => a === b || a.startsWith(`${b}.`) || b.startsWith(`${a}.`);

const rows = new Map(distributionTable.map((row) => [row.key, row]));
const leadsToRow = (key: string): boolean => distributionTable.some((row) => row.key.startsWith(`${key}.`));

/** Goes down to the key of a row; what is below it belongs to it. */
function find(path: readonly string[], value: unknown): readonly Finding[] {
  const key = path.join(".");
  const row = rows.get(key);
  if (row !== undefined) {
    const means = !isEmpty(value) || (row.fate.kind === "stops" && row.fate.evenEmpty === true);
    return means ? [{ kind: "known", row, value }] : [];
  }
  if (!leadsToRow(key)) return [{ kind: "unknown", key }];
  if (isTree(value)) return Object.entries(value).flatMap(([name, child]) => find([...path, name], child));
  return isEmpty(value) ? [] : [{ kind: "unknown", key }];
}

const isEmpty = (value: unknown): boolean =>
  value === null ||
  value === undefined ||
  value === "" ||
  (Array.isArray(value) && value.length === 0) ||
  (isTree(value) && Object.keys(value).length === 0);

function stopReason(fate: Fate, value: unknown, own: Original["own"]): string | undefined {
  if (fate.kind !== "stops" || fate.unless?.holds(value) === true) return undefined;
  if (fate.yieldsTo !== undefined && own(fate.yieldsTo.path) === fate.yieldsTo.value) return undefined;
  return fate.instead;
}

/** A guard that is named counts, even one that this registry does not know. */
function hasAuth(tree: Tree): boolean {
  const auth = tree["auth"];
  return isTree(auth) ? Object.keys(auth).length > 0 : !isEmpty(auth);
}

interface SettingRules {
  readonly sourceOf: (key: string) => Source;
  /** Whether distribution's own defaults count. */
  readonly absentCounts: boolean;
}

/** In the order of the table, in which a later row counts more. */
function settingsOf(
  known: readonly (Finding & { readonly kind: "known" })[],
  { sourceOf, absentCounts }: SettingRules,
): readonly TranslatedSetting[] {
  return distributionTable.flatMap((row): readonly TranslatedSetting[] => {
    const { key, fate } = row;
    if (fate.kind !== "maps") return [];
    const found = known.find((finding) => finding.row === row);
    if (found !== undefined) {
      const { kind, name } = sourceOf(key);
      const value = fate.convert === undefined ? found.value : fate.convert(found.value);
      return [{ path: fate.to, value, source: name, kind }];
    }
    const isPreset = absentCounts && fate.whenAbsent !== undefined;
    return isPreset ? [{ path: fate.to, value: fate.whenAbsent, source: `no ${key}`, kind: "file" }] : [];
  });
}

const besideDrivers = new Set(["cache", "delete", "maintenance", "redirect", "tag"]);

/** Distribution does not start without a driver either, nor with two. */
function driverProblem(tree: Tree): readonly string[] {
  const storage = valueAt(tree, ["storage"]);
  const drivers = Object.keys(isTree(storage) ? storage : {}).filter((name) => !besideDrivers.has(name));
  if (drivers.length === 1) return [];
  return drivers.length === 0
    ? ["storage: it names no driver; Berth's is storage.filesystem"]
    : [`storage: it names more than one driver: ${drivers.join(", ")}`];
}
