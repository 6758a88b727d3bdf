import type { Command } from "commander";

declare const BERTH_VERSION: string | undefined;
declare const BERTH_COMMIT: string | undefined;

/** Set by the build; a checkout has neither. */
export const version = typeof BERTH_VERSION === "string" ? BERTH_VERSION : "checkout";
const commit = typeof BERTH_COMMIT === "string" ? BERTH_COMMIT : "unknown";

/** `berth version`. */
export const addVersion = (program: Command): void => {
  program
    .command("version")
    .description("print the version")
    .option("--json", "one JSON object")
    .action(({ json }: { readonly json?: true }) => {
      process.stdout.write(json ? `${JSON.stringify({ version, commit })}\n` : `berth ${version} (${commit})\n`);
    });
};
