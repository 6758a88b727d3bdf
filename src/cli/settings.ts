import type { Command } from "commander";
import { ConfigError, type ConfigReport, inspectConfig } from "../platform/config/load-config.ts";
import type { Config } from "../platform/config/schema.ts";
import { valueAt } from "../platform/config/tree.ts";
import { holdsDistributionData } from "../platform/data-folder/distribution-data.ts";

export interface CommonOptions {
  readonly data?: string;
  readonly config?: string;
}

/** Flags by the path of their setting. */
type Flags = Readonly<Record<string, string | undefined>>;

/** The options of every command that works on a data folder. */
export const withCommonOptions = (command: Command): Command =>
  command
    .option("--data <folder>", "the data folder (default ./data)")
    .option("--config <file>", "a configuration file in YAML: Berth's, or distribution's config.yml");

/** All there is to tell about the settings of a command. */
export function inspectSettings(options: CommonOptions, flags: Flags = {}): ConfigReport {
  const { env } = process;
  const theirs = env["REGISTRY_CONFIGURATION_PATH"];
  const report = inspectConfig({
    file: options.config ?? env["BERTH_CONFIG"] ?? (theirs === "" ? undefined : theirs),
    environment: env,
    flags: { data: options.data, ...flags },
  });
  const data = report.config?.data ?? valueAt(report.given, ["data"]);
  if (typeof data !== "string" || !holdsDistributionData(data)) return report;
  const problem =
    `data: ${data} holds the images of a registry of distribution (docker/registry/v2), which would not be seen here: ` +
    "bring them over with `berth migrate distribution` (in a build that has it) or with skopeo, " +
    "and name another folder with --data or BERTH_DATA";
  return { ...report, config: undefined, problems: [...report.problems, problem] };
}

export interface Settings {
  readonly config: Config;
  readonly warnings: readonly string[];
}

/** @throws ConfigError */
export function readSettings(options: CommonOptions, flags: Flags = {}): Settings {
  const { config, warnings, problems } = inspectSettings(options, flags);
  if (config === undefined) throw new ConfigError(problems);
  return { config, warnings };
}
