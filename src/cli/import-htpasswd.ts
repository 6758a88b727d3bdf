import { readFile } from "node:fs/promises";
import type { Command } from "commander";
import { type ImportedHtpasswd, importHtpasswd } from "../access/htpasswd/import-htpasswd.ts";
import { type CommonOptions, withCommonOptions } from "./settings.ts";
import { StartError } from "./start-error.ts";
import { withRegistry } from "./with-registry.ts";

interface ImportOptions extends CommonOptions {
  readonly json?: true;
}

/** `berth user import-htpasswd`: on the data folder, also beside a running server. */
export function addImportHtpasswd(user: Command): void {
  withCommonOptions(user.command("import-htpasswd <file>"))
    .description("make accounts of the names in an htpasswd file that have none, with their passwords")
    .option("--json", "one JSON object")
    .action((file: string, options: ImportOptions) =>
      withRegistry(options, async ({ database }) => {
        const imported = await importHtpasswd(database, await readHtpasswd(file), Date.now());
        if (options.json) process.stdout.write(`${JSON.stringify(imported)}\n`);
        else print(file, imported);
        if (imported.refused.length > 0) process.exitCode = 1;
      }),
    );
}

function print(file: string, { created, existing, refused }: ImportedHtpasswd): void {
  for (const name of created) process.stdout.write(`created   ${name}\n`);
  for (const name of existing) process.stdout.write(`existing  ${name}, which stays as it is\n`);
  for (const { line, reason } of refused) process.stderr.write(`berth: ${file}: line ${line}: ${reason}\n`);
}

/** @throws StartError */
async function readHtpasswd(file: string): Promise<string> {
  try {
    return await readFile(file, "utf8");
  } catch {
    throw new StartError(`${file} cannot be read`);
  }
}
