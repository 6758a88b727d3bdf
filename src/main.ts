import { Command } from "commander";
import { addConfig } from "./cli/config.ts";
import { addCheck } from "./cli/check.ts";
import { addJobs } from "./cli/jobs.ts";
import { addRebuild } from "./cli/rebuild.ts";
import { addServe } from "./cli/serve.ts";
import { StartError } from "./cli/start-error.ts";
import { addTls } from "./cli/tls.ts";
import { addUploads } from "./cli/uploads.ts";
import { addUser } from "./cli/user.ts";
import { addVersion } from "./cli/version.ts";
import { addWorker } from "./cli/worker.ts";
import { ConfigError } from "./platform/config/load-config.ts";

// The data folder holds password hashes and private images: files that Berth makes are not everyone's to read.
process.umask(0o027);

const program = new Command("berth").description("a container registry in one process");
addConfig(program);
addServe(program);
addCheck(program);
addUploads(program);
addJobs(program);
addRebuild(program);
addTls(program);
addUser(program);
addVersion(program);
addWorker(program);

try {
  await program.parseAsync();
} catch (error) {
  // What the operator can set right is told in a line each; anything else is a bug and shows where.
  const isTheirs = error instanceof ConfigError || error instanceof StartError;
  const lines =
    error instanceof ConfigError ? error.problems : [error instanceof Error ? error.message : String(error)];
  for (const line of lines) process.stderr.write(`berth: ${line}\n`);
  if (!isTheirs && error instanceof Error) process.stderr.write(`${error.stack ?? ""}\n`);
  process.exit(isTheirs ? 2 : 1);
}
