import type { Command } from "commander";
import { parseSecret } from "../access/instance-secret.ts";
import { configJsonSchema } from "../platform/config/config-json-schema.ts";
import { hideSecrets } from "../platform/config/hide-secrets.ts";
import { ConfigError, type ConfigReport } from "../platform/config/load-config.ts";
import { settingPaths } from "../platform/config/setting-paths.ts";
import { valueAt } from "../platform/config/tree.ts";
import { type CommonOptions, inspectSettings, withCommonOptions } from "./settings.ts";

interface ServerOptions extends CommonOptions {
  readonly addr?: string;
}

interface PrintOptions extends ServerOptions {
  readonly json?: true;
}

/** `berth config check|print|schema`: what a server with the same options and variables would run with. */
export function addConfig(program: Command): void {
  const config = program.command("config").description("the configuration");
  withServerOptions(config.command("check"))
    .description("tell every problem, with exit code 2 if there is one")
    .option("--json", "one JSON object, with problems and warnings")
    .action((options: PrintOptions) => check(inspectSettings(options, { "http.addr": options.addr }), options.json));
  withServerOptions(config.command("print"))
    .description("print every setting and where it comes from; secrets are hidden")
    .option("--json", "one JSON object, by the path of the setting")
    .action(print);
  config
    .command("schema")
    .description("print the JSON Schema of the configuration file, for editors")
    .option("--json", "the same on one line")
    .action(({ json }: { readonly json?: true }) => {
      process.stdout.write(`${JSON.stringify(configJsonSchema(), undefined, json ? 0 : 2)}\n`);
    });
}

const withServerOptions = (command: Command): Command =>
  withCommonOptions(command).option("--addr <host:port>", "where to listen (default 127.0.0.1:5000)");

function check({ problems, warnings, given }: ConfigReport, json: true | undefined): void {
  const all = [...problems, ...secretProblems(valueAt(given, ["secret"]))];
  if (json) {
    process.stdout.write(`${JSON.stringify({ ok: all.length === 0, problems: all, warnings })}\n`);
    if (all.length > 0) process.exitCode = 2;
    return;
  }
  for (const warning of warnings) process.stderr.write(`berth: warning: ${warning}\n`);
  if (all.length > 0) throw new ConfigError(all);
  process.stdout.write("ok\n");
}

/** What a start would say of the secret. */
function secretProblems(secret: unknown): readonly string[] {
  if (typeof secret !== "string") return [];
  const parsed = parseSecret(secret);
  return parsed.kind === "refused" ? [parsed.reason] : [];
}

interface Shown {
  readonly value: unknown;
  readonly source: string;
  /** The file, variable or flag. */
  readonly name?: string;
}

function print(options: PrintOptions): void {
  const { config, origins, problems } = inspectSettings(options, { "http.addr": options.addr });
  if (config === undefined) throw new ConfigError(problems);
  const shown = settingPaths.map((path): readonly [string, Shown] => {
    const value = hideSecrets(path, valueAt(config, path.split(".")));
    const origin = origins.get(path);
    return [
      path,
      origin === undefined ? { value, source: "default" } : { value, source: origin.kind, name: origin.name },
    ];
  });
  process.stdout.write(options.json === true ? asJson(shown) : asTable(shown));
}

const asJson = (shown: readonly (readonly [string, Shown])[]): string =>
  `${JSON.stringify(
    Object.fromEntries(shown.map(([path, one]) => [path, { ...one, value: one.value ?? null }])),
    undefined,
    2,
  )}\n`;

function asTable(shown: readonly (readonly [string, Shown])[]): string {
  const cells = shown.map(([path, { value, source, name }]) => [
    path,
    value === undefined ? "(not set)" : typeof value === "string" ? value : JSON.stringify(value),
    name === undefined ? source : `${source} ${name}`,
  ]);
  const width = (column: number): number => Math.max(...cells.map((row) => (row[column] ?? "").length));
  const [first, second] = [width(0), width(1)];
  return cells
    .map(([path = "", value = "", source = ""]) => `${path.padEnd(first)}  ${value.padEnd(second)}  ${source}\n`)
    .join("");
}
