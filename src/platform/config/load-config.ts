import type { z } from "zod";
import { isDistributionFile, translate } from "./distribution/translate.ts";
import { registryVariables } from "./distribution/variables.ts";
import { isLoopback } from "./loopback.ts";
import { type Origin, type Setting, settingsOfFile, settingsOfFlags, settingsOfVariables } from "./own-settings.ts";
import { type ConfigFile, readConfigFile } from "./read-config-file.ts";
import { type Config, configSchema } from "./schema.ts";
import { noTracingVariables, tracingVariables } from "./tracing-variables.ts";
import { assign, type Tree, valueAt } from "./tree.ts";

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

export interface ConfigReport {
  /** Frozen; `undefined` when there is a problem. */
  readonly config: Config | undefined;
  /** What was given, right or wrong, without the defaults. */
  readonly given: Tree;
  readonly origins: ReadonlyMap<string, Origin>;
  readonly problems: readonly string[];
  readonly warnings: readonly string[];
}

/**
 * One frozen value from flags, `BERTH_*` variables, distribution's `REGISTRY_*` variables, the file (Berth's or
 * distribution's), OpenTelemetry's variables and the defaults, in this order of precedence.
 * @throws ConfigError
 */
export function loadConfig(sources: ConfigSources): Config {
  const { config, problems } = inspectConfig(sources);
  if (config === undefined) throw new ConfigError(problems);
  return config;
}

const noFile: ConfigFile = { of: "berth", tree: {}, problems: [] };

/** The same, with all there is to tell about it; a wrong configuration throws nothing. */
export function inspectConfig({ file, environment, flags }: ConfigSources): ConfigReport {
  const registry = registryVariables(environment);
  const read = file === undefined ? noFile : readConfigFile(file, (tree) => isDistributionFile(tree, registry));
  const isTheirs = read.of === "distribution";
  const fileName = file ?? "";
  const given: Tree = isTheirs ? {} : structuredClone(read.tree);
  const ofFile = settingsOfFile(given, fileName);
  const ofVariables = settingsOfVariables(environment);
  const ofFlags = settingsOfFlags(flags);
  const own = [...ofFile, ...ofVariables.settings, ...ofFlags];
  // Never in part: the key of one collector would go to another.
  const tracesByOwn = own.some(({ path }) => path === "tracing.endpoint");
  const ofTracing = tracesByOwn ? noTracingVariables : tracingVariables(environment);
  const translation = translate({
    file: isTheirs ? read.tree : undefined,
    variables: registry,
    own: (path) => own.findLast((setting) => setting.path === path)?.value,
  });
  const theirs = translation.settings.map(({ path, value, source, kind }): Setting => {
    return { path, value, origin: { kind, name: kind === "file" ? `${fileName}: ${source}` : source } };
  });
  const settings = [...ofTracing.settings, ...ofFile, ...theirs, ...ofVariables.settings, ...ofFlags];
  for (const { path, value } of settings) assign(given, path.split("."), value);
  const guard = isTheirs && !translation.hasAuth ? withoutAuth(given, fileName) : undefined;
  for (const { path, value } of guard?.settings ?? []) assign(given, path.split("."), value);
  const origins = new Map([...settings, ...(guard?.settings ?? [])].map(({ path, origin }) => [path, origin]));
  // It is parsed once: to compile the schema for that would take 8 ms, and to go through it takes 1.
  const parsed = configSchema.safeParse(given, { jitless: true });
  const translated = new Set([...theirs, ...ofTracing.settings].map(({ origin }) => origin));
  const problems = [
    ...read.problems,
    ...ofVariables.problems,
    ...ofTracing.problems,
    ...translation.problems,
    ...(guard?.problems ?? []),
    ...(parsed.success ? [] : parsed.error.issues.flatMap((issue) => describe(issue, origins, translated))),
  ];
  return {
    config: parsed.success && problems.length === 0 ? deepFreeze(parsed.data) : undefined,
    given,
    origins,
    problems,
    warnings: [...translation.warnings, ...overruled(theirs, ofVariables.settings), ...(guard?.warnings ?? [])],
  };
}

interface Guard {
  readonly settings: readonly Setting[];
  readonly problems: readonly string[];
  readonly warnings: readonly string[];
}

/** Distribution without `auth` lets everyone in: here that is so on the loopback; elsewhere it has to be said. */
function withoutAuth(given: Tree, file: string): Guard | undefined {
  if (valueAt(given, ["access", "mode"]) !== undefined) return undefined;
  const addr = valueAt(given, ["http", "addr"]);
  if (addr !== undefined && typeof addr !== "string") return undefined; // The schema refuses it.
  if (addr === undefined || isLoopback(addr)) {
    return {
      settings: [{ path: "access.mode", value: "open", origin: { kind: "file", name: `${file}: no auth` } }],
      problems: [],
      warnings: [`access.mode is open, because ${file} has no auth and http.addr is on the loopback`],
    };
  }
  const problem =
    `access.mode: ${file} has no auth, which would let in everyone who reaches ${addr}; ` +
    "say BERTH_ACCESS_MODE=open if that is meant, or BERTH_ACCESS_MODE=standard for accounts";
  return { settings: [], problems: [problem], warnings: [] };
}

const overruled = (theirs: readonly Setting[], ours: readonly Setting[]): readonly string[] =>
  theirs.flatMap(({ path, origin }) => {
    const mine = origin.kind === "environment" ? ours.find((setting) => setting.path === path) : undefined;
    return mine === undefined ? [] : [`${origin.name} is overruled by ${mine.origin.name}`];
  });

function describe(
  issue: z.core.$ZodIssue,
  origins: ReadonlyMap<string, Origin>,
  translated: ReadonlySet<Origin>,
): readonly string[] {
  // A list is one setting, whichever of its items it is.
  const path = issue.path.filter((key) => typeof key !== "number").join(".");
  if (issue.code === "unrecognized_keys") {
    return issue.keys.map((key) => `${path === "" ? key : `${path}.${key}`}: there is no such setting`);
  }
  const origin = origins.get(path);
  // Whoever wrote distribution's key does not know Berth's.
  const from = origin !== undefined && translated.has(origin) ? ` (from ${origin.name})` : "";
  return [`${path}: ${issue.message}${from}`];
}

function deepFreeze<T>(value: T): T {
  if (typeof value === "object" && value !== null) for (const child of Object.values(value)) deepFreeze<unknown>(child);
  return Object.freeze(value);
}
