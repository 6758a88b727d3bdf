import { readFileSync } from "node:fs";
import { LineCounter, parseDocument, visit } from "yaml";
import { z } from "zod";
import { type Config, configSchema } from "./schema.ts";
import { yamlMistake } from "./yaml-mistake.ts";

/** Every problem of a configuration, each with the path of its setting. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
  readonly problems: readonly string[];
  constructor(problems: readonly string[]) {
    super(problems.join("\n"));
    this.problems = problems;
  }
}

export interface ConfigSources {
  readonly file: string | undefined;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Settings by path: `http.addr`. */
  readonly flags: Readonly<Record<string, string | undefined>>;
}

interface Setting {
  readonly path: string;
  readonly text: string;
  readonly source: string;
}

/** Read before the configuration, or no part of it. */
const otherVariables = new Set(["BERTH_ADMIN_PASSWORD", "BERTH_CONFIG"]);
const testPrefix = "BERTH_TEST_";

/**
 * One frozen value from flags, `BERTH_*` variables, the file and the defaults, in this order of precedence.
 * @throws ConfigError
 */
export function loadConfig({ file, environment, flags }: ConfigSources): Config {
  const tree = file === undefined ? {} : readFile(file);
  const paths = new Map(settingPaths(configSchema).map((path) => [variableName(path), path]));
  const settings: Setting[] = [];
  const problems: string[] = [];
  for (const [name, text] of Object.entries(environment)) {
    if (!name.startsWith("BERTH_") || text === undefined) continue;
    if (otherVariables.has(name) || name.startsWith(testPrefix)) continue;
    const path = paths.get(name);
    if (path === undefined) problems.push(`${name}: there is no such setting`);
    else settings.push({ path, text, source: name });
  }
  for (const [path, text] of Object.entries(flags)) if (text !== undefined) settings.push({ path, text, source: path });
  for (const setting of settings) assign(tree, setting);
  const parsed = configSchema.safeParse(tree);
  if (!parsed.success) problems.push(...parsed.error.issues.flatMap(describe));
  if (problems.length > 0 || !parsed.success) throw new ConfigError(problems);
  return deepFreeze(parsed.data);
}

type Tree = { [key: string]: unknown };
const isTree = (value: unknown): value is Tree => typeof value === "object" && value !== null && !Array.isArray(value);

function readFile(file: string): Tree {
  const lines = new LineCounter();
  // Pretty errors quote the lines around them, and a line may hold a secret.
  const document = parseDocument(readText(file), { prettyErrors: false, lineCounter: lines });
  const mistakes = [...document.errors, ...document.warnings].map((mistake) => {
    const { line, col } = lines.linePos(mistake.pos[0]);
    return `${file}:${line}:${col}: ${yamlMistake(mistake)}`;
  });
  visit(document, {
    Alias: () => {
      mistakes.push(`${file}: aliases are not understood`);
    },
  });
  if (mistakes.length > 0) throw new ConfigError(mistakes);
  const value: unknown = document.toJS() ?? {};
  if (!isTree(value)) throw new ConfigError([`${file}: must be a mapping of settings`]);
  return value;
}

function readText(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    throw new ConfigError([`${file}: cannot be read: ${error instanceof Error ? error.message : String(error)}`]);
  }
}

/** `http.publicUrl` is `BERTH_HTTP_PUBLIC_URL`. */
const variableName = (path: string): string =>
  `BERTH_${path
    .replaceAll(/[A-Z]/g, (letter) => `_${letter}`)
    .replaceAll(".", "_")
    .toUpperCase()}`;

function settingPaths(schema: z.ZodType, prefix = ""): readonly string[] {
  const inner = unwrap(schema);
  if (!(inner instanceof z.ZodObject)) return [prefix];
  return Object.entries(inner.shape as Readonly<Record<string, z.ZodType>>).flatMap(([key, child]) =>
    settingPaths(child, prefix === "" ? key : `${prefix}.${key}`),
  );
}

function unwrap(schema: z.ZodType): z.ZodType {
  const isWrapper =
    schema instanceof z.ZodOptional || schema instanceof z.ZodDefault || schema instanceof z.ZodPrefault;
  if (!isWrapper) return schema;
  const inner = schema.unwrap();
  return inner instanceof z.ZodType ? unwrap(inner) : schema;
}

/** Text becomes what the setting is made of; what does not fit is left for the schema to refuse. */
function assign(tree: Tree, { path, text }: Setting): void {
  const keys = path.split(".");
  const last = keys.pop() ?? "";
  let node = tree;
  for (const key of keys) {
    const child = node[key];
    const next: Tree = isTree(child) ? child : {};
    node[key] = next;
    node = next;
  }
  node[last] = toValue(path, text);
}

function toValue(path: string, text: string): unknown {
  let schema: z.ZodType = configSchema;
  for (const key of path.split(".")) {
    const inner = unwrap(schema);
    if (!(inner instanceof z.ZodObject)) break;
    schema = (inner.shape as Readonly<Record<string, z.ZodType>>)[key] ?? schema;
  }
  const inner = unwrap(schema);
  if (inner instanceof z.ZodNumber && /^\d+$/.test(text)) return Number(text);
  if (inner instanceof z.ZodBoolean && (text === "true" || text === "false")) return text === "true";
  return text;
}

function describe(issue: z.core.$ZodIssue): readonly string[] {
  const path = issue.path.join(".");
  if (issue.code === "unrecognized_keys") {
    return issue.keys.map((key) => `${path === "" ? key : `${path}.${key}`}: there is no such setting`);
  }
  return [`${path}: ${issue.message}`];
}

function deepFreeze<T>(value: T): T {
  if (typeof value === "object" && value !== null) for (const child of Object.values(value)) deepFreeze<unknown>(child);
  return Object.freeze(value);
}
