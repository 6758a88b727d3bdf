import { stat } from "node:fs/promises";
import type { Config } from "../platform/config/schema.ts";
import type { Registry } from "../registry/registry.ts";
import { openRegistry } from "./open-registry.ts";
import { type CommonOptions, readSettings } from "./settings.ts";
import { startStep } from "./start-error.ts";

/** Opens the data folder for one command, beside a server that may be running on it. */
export async function withRegistry(
  options: CommonOptions,
  work: (registry: Registry, config: Config) => Promise<void>,
): Promise<void> {
  const config = readSettings(options);
  // A mistyped folder must not become a new and empty registry.
  await startStep("data", () => stat(config.data));
  const registry = await openRegistry(config);
  try {
    await work(registry, config);
  } finally {
    await registry.database.close();
  }
}
