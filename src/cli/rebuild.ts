import type { Command } from "commander";
import { describeRebuildFinding, type RebuildFinding } from "../features/journal/rebuild-finding.ts";
import { rebuild } from "../features/journal/rebuild.ts";
import { check } from "../features/maintenance/check.ts";
import { describeFinding } from "../features/maintenance/finding.ts";
import { lockDataFolder } from "../platform/data-folder/lock-data-folder.ts";
import type { Registry } from "../registry/registry.ts";
import { openRegistry } from "./open-registry.ts";
import { type CommonOptions, readSettings, withCommonOptions } from "./settings.ts";
import { StartError, startStep } from "./start-error.ts";

interface RebuildOptions extends CommonOptions {
  readonly replace?: true;
  readonly verify: boolean;
  readonly json?: true;
}

/** `berth rebuild`: the database from the blobs and their journal; exit code 1 where anything could not be had back. */
export const addRebuild = (program: Command): void => {
  withCommonOptions(program.command("rebuild"))
    .description("make an empty database anew from the blobs and their journal; no server may run on them")
    .option("--replace", "remove what the database holds of the registry first")
    .option("--no-verify", "do not read every blob afterwards, as berth check does")
    .option("--json", "one JSON object a line for each finding, and one with the totals")
    .action(async (options: RebuildOptions) => {
      const { config } = readSettings(options);
      const lock = await startStep(`data: ${config.data}`, () => lockDataFolder(config.data));
      if (lock === undefined) throw new StartError(`${config.data}: a server is running on this data folder; stop it`);
      const registry = await openRegistry(config);
      try {
        await run(registry, options);
      } finally {
        await registry.database.close();
        lock.release();
      }
    });
};

const write = (line: string): void => void process.stdout.write(`${line}\n`);

async function run(registry: Registry, { replace, verify, json }: RebuildOptions): Promise<void> {
  const rebuilt = await rebuild(registry, {
    replace: replace === true,
    onProgress: (text) => void process.stderr.write(`rebuilding: ${text}\n`),
  });
  if (rebuilt.kind === "not-empty") {
    throw new StartError("the database is not empty; with --replace, what it holds of the registry goes first");
  }
  const show = (finding: RebuildFinding): void =>
    write(json ? JSON.stringify(finding) : `${finding.kind}  ${describeRebuildFinding(finding)}`);
  for (const finding of rebuilt.findings) show(finding);
  if (rebuilt.kind === "no-journal") {
    throw new StartError("there is no whole snapshot in the journal to begin with; the database was not changed");
  }
  let findings = rebuilt.findings.length;
  if (verify) findings += await verifyAll(registry, json === true);
  const { reached } = rebuilt;
  write(
    json
      ? JSON.stringify({ kind: "rebuilt", reached, findings })
      : `rebuilt up to change ${String(reached)}: ${String(findings)} findings`,
  );
  if (findings > 0) process.exitCode = 1;
}

/** Files that nothing names are told and no fault: pushes that the journal did not see, and uploads that had not ended. */
async function verifyAll(registry: Registry, json: boolean): Promise<number> {
  let faults = 0;
  for await (const finding of check(registry, { quarantine: true, onProgress: () => undefined })) {
    write(json ? JSON.stringify(finding) : `${finding.kind}  ${describeFinding(finding)}`);
    if (finding.kind !== "orphan-file") faults += 1;
  }
  return faults;
}
