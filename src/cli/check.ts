import type { Command } from "commander";
import { check } from "../features/maintenance/check.ts";
import { describeFinding, type Progress } from "../features/maintenance/finding.ts";
import { type CommonOptions, withCommonOptions } from "./settings.ts";
import { withRegistry } from "./with-registry.ts";

const progressMs = 2000;

interface CheckOptions extends CommonOptions {
  readonly json?: true;
  readonly quarantine?: true;
}

/** `berth check`: whether every byte that the database names is there and right; exit code 1 where one is not. */
export const addCheck = (program: Command): void => {
  withCommonOptions(program.command("check"))
    .description("compare the database with the stored bytes; changes nothing unless told, may run beside a server")
    .option("--quarantine", "withhold blobs whose bytes are damaged until they are pushed again or are right again")
    .option("--json", "one JSON object a line for each finding, and one with the totals")
    .action((options: CheckOptions) =>
      withRegistry(options, async (registry) => {
        let counts = { blobs: 0, bytes: 0 };
        let findings = 0;
        const show = progressLine();
        const found = check(registry, {
          quarantine: options.quarantine === true,
          onProgress(progress) {
            counts = { blobs: progress.blobs, bytes: progress.bytes };
            show(progress);
          },
        });
        for await (const finding of found) {
          findings += 1;
          const line = options.json ? JSON.stringify(finding) : `${finding.kind}  ${describeFinding(finding)}`;
          process.stdout.write(`${line}\n`);
        }
        process.stdout.write(
          options.json
            ? `${JSON.stringify({ kind: "checked", ...counts, findings })}\n`
            : `checked ${counts.blobs} blobs, ${counts.bytes} bytes: ${findings} findings\n`,
        );
        if (findings > 0) process.exitCode = 1;
      }),
    );
};

/** A line every two seconds on standard error, so that standard output holds findings alone. */
function progressLine(): (progress: Progress) => void {
  let shownAt = performance.now();
  return ({ blobs, ofBlobs, bytes, files }) => {
    const now = performance.now();
    if (now - shownAt < progressMs) return;
    shownAt = now;
    process.stderr.write(`checked ${blobs} of ${ofBlobs} blobs, ${Math.floor(bytes / 1e6)} MB; ${files} files\n`);
  };
}
