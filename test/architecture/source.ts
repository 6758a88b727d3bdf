import { posix } from "node:path";
import { rings, ringsOfOwners } from "./house.ts";

export interface SourceFile {
  /** From the root of the project: `src/registry/push.ts`. */
  readonly path: string;
  readonly text: string;
}

/** A file as the rules see it. */
export interface Place {
  readonly path: string;
  readonly ring: string;
  /** The ring, or the folder in it that owns tables of its own: `registry`, `features/search`. */
  readonly unit: string;
  /** Folder below the ring, where there is one: `platform/runtime`. */
  readonly folder: string;
  readonly isTest: boolean;
  /** Comments are blank. */
  readonly code: string;
  /** Comments and the text of strings are blank. */
  readonly bare: string;
}

/** Where a file of `src/` stands; `undefined` for one that stands in no ring. */
export function placeOf({ path, text }: SourceFile): Place | undefined {
  const [top, ring = "", second = "", third] = path.split("/");
  if (top !== "src" || !(ring in rings)) return undefined;
  const folder = third === undefined ? ring : `${ring}/${second}`;
  return {
    path,
    ring,
    folder,
    unit: ringsOfOwners.includes(ring) ? folder : ring,
    isTest: /\.(?:test|contract)\.ts$/.test(path),
    code: blank(text, { strings: false }),
    bare: blank(text, { strings: true }),
  };
}

const comment = String.raw`//[^\n]*|/\*[\s\S]*?\*/`;
const quoted = String.raw`"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'`;
const template = "`(?:\\\\.|[^`\\\\])*`";
const lexeme = new RegExp(`${comment}|${quoted}|${template}`, "g");

/** Keeps the line numbers. */
export function blank(text: string, { strings }: { readonly strings: boolean }): string {
  return text.replace(lexeme, (found) => {
    if (found.startsWith("//") || found.startsWith("/*")) return keepLines(found);
    if (!strings) return found;
    if (found.startsWith("`")) return `\`${(found.match(/\$\{[^}]*\}/g) ?? []).join(" ")}${keepLines(found)}\``;
    return '""';
  });
}

const keepLines = (text: string): string => text.replace(/[^\n]/g, "");

const specifier = /(?:\bfrom\s*|\bimport\s*\(?\s*|\bnew URL\(\s*)"([^"]+)"/g;

export interface Import {
  /** From the root of the project for a file of it, as written for a package. */
  readonly target: string;
  readonly isPackage: boolean;
}

/** Everything that the code names as a module: imports, types, dynamic imports, workers; `declare module` as well. */
export function importsOf({ path, code }: Pick<Place, "path" | "code">): readonly Import[] {
  return [...code.matchAll(specifier)].map(([, written = ""]) =>
    written.startsWith(".")
      ? { target: posix.normalize(posix.join(posix.dirname(path), written)), isPackage: false }
      : { target: written, isPackage: true },
  );
}

/** Tables that the file adds to `Tables`. */
export function declaredTables({ code }: Place): readonly string[] {
  const names: string[] = [];
  for (const start of code.matchAll(/\binterface Tables\b[^{]*\{/g)) {
    let depth = 1;
    let at = start.index + start[0].length;
    let top = "";
    while (depth > 0 && at < code.length) {
      const character = code[at] ?? "";
      if (character === "{") depth += 1;
      else if (character === "}") depth -= 1;
      else if (depth === 1) top += character;
      at += 1;
    }
    for (const [, name = ""] of top.matchAll(/(?:^|[;,\n])\s*(?:readonly\s+)?"?(\w+)"?\s*\??:/g)) names.push(name);
  }
  return names;
}

const writeCall = /\b(?:insertInto|replaceInto|mergeInto|updateTable|deleteFrom)\(\s*["'`](?:\w+\.)?(\w+)/g;
const insertText = /\b(?:(?:insert|replace|merge)\s+(?:or\s+\w+\s+)?into|delete\s+from)\s+"?(\w+)"?/gi;
const updateText = /\bupdate\s+"?(\w+)"?\s+(?:as\s+\w+\s+)?set\b/gi;
const readCall =
  /(?:\bselectFrom|\b(?:inner|left|right|full|cross)(?:Lateral)?Join|\.using|\.from)\(\s*\[?\s*["'`](?:\w+\.)?(\w+)/g;
const readText = /\b(?:from|join)\s+"?(\w+)"?/gi;

export interface TableUse {
  readonly table: string;
  readonly writes: boolean;
  /** Found in the text of a string: there the name may be an ordinary word. */
  readonly inText: boolean;
}

/** Tables that the code writes or reads, through Kysely or in SQL of its own. */
export function tableUses({ code }: Place): readonly TableUse[] {
  const strings = (code.match(lexeme) ?? []).join("\n");
  return [
    ...namesIn(code, writeCall).map((table) => ({ table, writes: true, inText: false })),
    ...namesIn(strings, insertText).map((table) => ({ table, writes: true, inText: true })),
    ...namesIn(strings, updateText).map((table) => ({ table, writes: true, inText: true })),
    ...namesIn(code, readCall).map((table) => ({ table, writes: false, inText: false })),
    ...namesIn(strings, readText).map((table) => ({ table, writes: false, inText: true })),
  ];
}

const namesIn = (text: string, pattern: RegExp): readonly string[] =>
  [...text.matchAll(pattern)].map(([, name = ""]) => name);
