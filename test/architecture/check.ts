import { posix } from "node:path";
import {
  closedFolders,
  emptyWords,
  globalRules,
  harmlessNames,
  packagePlaces,
  realThings,
  rings,
  ringsOfStrangers,
  ringsWithoutPackages,
  waysOut,
} from "./house.ts";
import { blank, declaredTables, importsOf, placeOf, tableUses, type Place, type SourceFile } from "./source.ts";

/** Every sentence of the house rules that a file breaks, as `path: what is wrong`. */
export function findViolations(files: readonly SourceFile[]): readonly string[] {
  const places = files.flatMap((file) => placeOf(file) ?? []);
  const owners = tableOwners(places);
  return [
    ...files.flatMap((file) => fileRules(file).map((what) => `${file.path}: ${what}`)),
    ...places.flatMap((place) =>
      [
        ...importRules(place),
        ...packageRules(place),
        ...nameRules(place),
        ...connectionRules(place),
        ...standInRules(place),
        ...tableRules(place, owners),
      ].map((what) => `${place.path}: ${what}`),
    ),
    ...[...owners].flatMap(([table, units]) =>
      units.length > 1 ? [`table ${table} has more than one owner: ${units.join(", ")}`] : [],
    ),
  ];
}

/** What counts for every file of the project, tests and scripts too. */
function fileRules(file: SourceFile): readonly string[] {
  const found: string[] = [];
  const code = blank(file.text, { strings: false });
  const words = file.path.split(/[/.-]/);
  const empty = words.find((word) => emptyWords.includes(word));
  if (empty !== undefined) found.push(`a name with "${empty}" does not say what is inside`);
  if (!/^[a-z0-9-]+(?:\.(?:test|contract|d))?\.(?:ts|tsx)$/.test(posix.basename(file.path)))
    found.push("file names are kebab-case");
  if (/^\s*export\s+default\b|\bas\s+default\b/m.test(blank(file.text, { strings: true })))
    found.push("no default exports");
  const rest = code.replace(/^\s*(?:export|import)\s[^;]*?\bfrom\s*"[^"]+";?/gm, "");
  if (/\bexport\b[^;]*?\bfrom\s*"/.test(code) && rest.trim() === "") found.push("no barrels");
  if (file.path.startsWith("src/") && placeOf(file) === undefined) found.push("it stands in no ring");
  return found;
}

function importRules(place: Place): readonly string[] {
  return importsOf(place).flatMap(({ target, isPackage }) => {
    if (isPackage) return [];
    if (!target.startsWith("src/")) {
      return place.isTest || target === "package.json" ? [] : [`it may not import ${target}, which is not the product`];
    }
    const other = placeOf({ path: target, text: "" });
    if (other === undefined) return [`it may not import ${target}, which stands in no ring`];
    if (other.ring !== place.ring && rings[place.ring]?.includes(other.ring) !== true)
      return [`${place.ring} may not import ${other.ring} (${target})`];
    if (ringsOfStrangers.includes(place.ring) && other.ring === place.ring && other.folder !== place.folder)
      return [`${place.folder} may not import its sibling ${other.folder} (${target})`];
    if (closedFolders[other.folder]?.includes(place.ring) === true)
      return [`${place.ring} may not import ${other.folder} (${target})`];
    return [];
  });
}

function packageRules(place: Place): readonly string[] {
  if (place.isTest) return [];
  return importsOf(place).flatMap(({ target, isPackage }) => {
    if (!isPackage) return [];
    if (ringsWithoutPackages.includes(place.ring)) return [`${place.ring} may not import the package ${target}`];
    const allowed = Object.entries(packagePlaces).find(
      ([name]) => target === name || (/[:/]$/.test(name) ? target.startsWith(name) : target.startsWith(`${name}/`)),
    )?.[1];
    return allowed === undefined || stands(place, allowed) ? [] : [`only ${allowed.join(", ")} may import ${target}`];
  });
}

function nameRules(place: Place): readonly string[] {
  if (place.isTest) return [];
  return globalRules.flatMap(({ names, only, never, because }) => {
    const forbidden = (only !== undefined && !stands(place, only)) || (never !== undefined && stands(place, never));
    return forbidden ? names.filter((name) => namesGlobal(place.bare, name)).map((name) => `${name}: ${because}`) : [];
  });
}

/** What connects past the one way out: parts of a package, or of Bun, of which the rest is harmless. */
function connectionRules({ isTest, folder, code, bare }: Place): readonly string[] {
  if (isTest) return [];
  const ofPackages = Object.entries(harmlessNames).flatMap(([name, { names, only }]) => {
    if (folder === only) return [];
    const imports = code.matchAll(new RegExp(String.raw`\b(?:import|export)\s+([^;"]*?)\s*\bfrom\s*"${name}"`, "g"));
    const dynamic = new RegExp(String.raw`\bimport\(\s*"${name}"`).test(code) ? ["all of it"] : [];
    const taken = [...imports].flatMap(([, clause = ""]) =>
      /^(?:type\s*)?\{[^}]*\}$/.test(clause.trim())
        ? clause
            .replace(/^type\b|[{}]/g, "")
            .split(",")
            .map((one) => one.trim().replace(/^type\s+|\s+as\s.*$/g, ""))
        : ["all of it"],
    );
    return [...taken, ...dynamic]
      .filter((one) => one !== "" && !names.includes(one))
      .map((one) => `only ${only} may import ${one} of ${name}`);
  });
  if (folder === "platform/net") return ofPackages;
  const named = waysOut.filter((name) => new RegExp(String.raw`\bBun\s*(?:\?\.|\.)\s*${name}\b`).test(bare));
  const unpacked =
    /\{[^{}]*\}\s*=\s*(?:globalThis\.)?Bun\b(?!\s*[.?])/.test(bare) || /\bBun\s*\[/.test(bare) ? ["its members"] : [];
  return [...ofPackages, ...[...named, ...unpacked].map((name) => `Bun: ${name} only by platform/net`)];
}

/** A directory that a test plays says what its author expects of one, not what it does. */
function standInRules(place: Place): readonly string[] {
  if (!place.isTest || !stands(place, realThings.folders)) return [];
  const { bare } = place;
  const packages = importsOf(place).filter(({ target }) => realThings.packages.some((name) => name === target));
  const names = realThings.names.filter((name) => new RegExp(String.raw`(?<![.\w])${name}\b`).test(bare));
  const members = realThings.members.filter((name) => new RegExp(String.raw`(?<![.\w])${name}\s*[:(]`).test(bare));
  const servers = /\bBun\s*\.\s*(?:listen|serve)\b/.test(bare) ? ["a server"] : [];
  return [...packages.map(({ target }) => target), ...names, ...members, ...servers].map(
    (what) => `${what}: tests of sources of identity talk to real ones`,
  );
}

/** `fetch` counts where it is called or handed on, not as the name of a member. */
const namesGlobal = (bare: string, name: string): boolean =>
  new RegExp(String.raw`(?<![.\w$-]|\bimport\(")(?:globalThis\.)?\b${name}\b(?!\s*\??:|\w|-)`).test(bare) ||
  bare.includes(`globalThis.${name}`);

const stands = (place: Place, where: readonly string[]): boolean =>
  where.includes(place.ring) || where.includes(place.folder);

function tableOwners(places: readonly Place[]): ReadonlyMap<string, readonly string[]> {
  const owners = new Map<string, string[]>();
  for (const place of places) {
    if (place.isTest) continue;
    for (const table of declaredTables(place)) {
      const units = owners.get(table) ?? [];
      owners.set(table, units.includes(place.unit) ? units : [...units, place.unit]);
    }
  }
  return owners;
}

function tableRules(place: Place, owners: ReadonlyMap<string, readonly string[]>): readonly string[] {
  if (place.isTest) return [];
  const found = new Set<string>();
  for (const { table, writes, inText } of tableUses(place)) {
    const [owner] = owners.get(table) ?? [];
    if (owner === undefined) {
      // The name may be that of a subquery or an ordinary word; a write through Kysely can only mean a table.
      if (writes && !inText) found.add(`it writes table ${table}, which no folder owns`);
    } else if (owner !== place.unit) {
      const ring = owner.split("/")[0] ?? "";
      if (writes) found.add(`only ${owner} writes table ${table}`);
      else if (rings[place.ring]?.includes(ring) !== true) found.add(`it may not read table ${table} of ${owner}`);
    }
  }
  return [...found];
}
