import type { Command } from "commander";
import { type CommonOptions, readSettings, withCommonOptions } from "./settings.ts";
import { StartError } from "./start-error.ts";

interface ListOptions extends CommonOptions {
  readonly json?: true;
}

interface TestOptions extends ListOptions {
  readonly user?: string;
}

/** `berth source list|test`: where people are known beside the accounts of the database. */
export function addSource(program: Command): void {
  const source = program.command("source").description("sources of identity");
  withCommonOptions(source.command("list"))
    .description("list the sources in the order in which they are asked")
    .option("--json", "one JSON object a line")
    .action((options: ListOptions) => {
      for (const settings of readSettings(options).config.access.sources ?? []) {
        const { name, kind, enabled } = settings;
        const state = enabled ? "enabled" : "disabled";
        const urls = settings.kind === "oidc" ? [settings.issuer] : settings.urls;
        const line = options.json
          ? JSON.stringify({ name, kind, enabled, urls })
          : [name, kind, state, ...urls].join("  ");
        process.stdout.write(`${line}\n`);
      }
    });
  withCommonOptions(source.command("test <name>"))
    .description("do what a sign-in does, step by step, and tell which step fails and why")
    .option("--user <name>", "somebody to be found; their password is not needed")
    .option("--json", "one JSON object a line")
    .action(test);
}

/** A source that is not enabled can be tried out before it is. */
async function test(name: string, { user, json, ...options }: TestOptions): Promise<void> {
  const { sources = [] } = readSettings(options).config.access;
  const settings = sources.find((source) => source.name === name);
  if (settings === undefined) throw new StartError(`there is no source ${name} in access.sources`);
  const { sourceOf } = await import("../access/sources/source-of.ts");
  for await (const one of sourceOf(settings).test(user)) {
    const { step, ok, detail } = one;
    process.stdout.write(
      json ? `${JSON.stringify(one)}\n` : `${ok ? "ok    " : "FAILED"}  ${step.padEnd(7)}  ${detail}\n`,
    );
    if (!ok) process.exitCode = 1;
  }
}
