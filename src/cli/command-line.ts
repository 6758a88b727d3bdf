import { Command } from "commander";
import { addConfig } from "./config.ts";
import { addCheck } from "./check.ts";
import { addJobs } from "./jobs.ts";
import { addRebuild } from "./rebuild.ts";
import { addServe } from "./serve.ts";
import { StartError } from "./start-error.ts";
import { addSource } from "./source.ts";
import { addTls } from "./tls.ts";
import { addUploads } from "./uploads.ts";
import { addUser } from "./user.ts";
import { addVersion } from "./version.ts";
import { addWorker } from "./worker.ts";
import { ConfigError } from "../platform/config/load-config.ts";

/** Does what the command line says, and is what an error of it looks like. */
export async function runCommandLine(): Promise<void> {
  // The data folder holds password hashes and private images: files that Berth makes are not everyone's to read.
  process.umask(0o027);

  const program = new Command("berth").description("a container registry in one process");
  addConfig(program);
  addServe(program);
  addCheck(program);
  addUploads(program);
  addJobs(program);
  addRebuild(program);
  addSource(program);
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
}
