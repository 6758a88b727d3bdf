import type { Command } from "commander";
import { type Config } from "../platform/config/schema.ts";
import { loadConfig } from "../platform/config/load-config.ts";

export interface CommonOptions {
  readonly data?: string;
  readonly config?: string;
}

/** The options of every command that works on a data folder. */
export const withCommonOptions = (command: Command): Command =>
  command
    .option("--data <folder>", "the data folder (default ./data)")
    .option("--config <file>", "a configuration file in YAML");

/** @throws ConfigError */
export function readSettings(options: CommonOptions, flags: Readonly<Record<string, string | undefined>> = {}): Config {
  return loadConfig({
    file: options.config ?? process.env["BERTH_CONFIG"],
    environment: process.env,
    flags: { data: options.data, ...flags },
  });
}
