import { existsSync } from "node:fs";
import type { Config } from "../platform/config/schema.ts";
import type { Registry } from "../registry/registry.ts";
import { databasePath, openRegistry } from "./open-registry.ts";
import { operator } from "./operator.ts";
import { type CommonOptions, readSettings } from "./settings.ts";
import { StartError } from "./start-error.ts";

/** Opens the data folder for one command, beside a server that may be running on it. */
export async function withRegistry(
  options: CommonOptions,
  work: (registry: Registry, config: Config) => Promise<void>,
): Promise<void> {
  const { config } = readSettings(options);
  if (config.database.url === undefined && !existsSync(databasePath(config))) {
    throw new StartError(`data: there is no registry in ${config.data}; berth serve makes one`);
  }
  const registry = await openRegistry(config);
  try {
    await work({ ...registry, by: operator() }, config);
  } finally {
    await registry.database.close();
  }
}
