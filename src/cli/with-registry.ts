import type { Config } from "../platform/config/schema.ts";
import type { Registry } from "../registry/registry.ts";
import { openRegistry } from "./open-registry.ts";
import { type CommonOptions, readSettings } from "./settings.ts";

/** Opens the data folder for one command, beside a server that may be running on it. */
export async function withRegistry(
  options: CommonOptions,
  work: (registry: Registry, config: Config) => Promise<void>,
): Promise<void> {
  const { config } = readSettings(options);
  const registry = await openRegistry(config);
  try {
    await work(registry, config);
  } finally {
    await registry.database.close();
  }
}
