import { isInstalled } from "../../test/clients/provide-crane.ts";
import { run } from "./run.ts";

/** Clients that are of no use without their daemon, and how to ask for it. */
const daemons: Readonly<Record<string, readonly string[]>> = {
  docker: ["docker", "version"],
  ctr: ["ctr", "version"],
};

/** Asks once what each program needs; answers why it cannot be used. */
export async function findMissingTools(
  tools: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<ReadonlyMap<string, string>> {
  const missing = new Map<string, string>();
  for (const tool of new Set(tools)) {
    if (!isInstalled(tool)) missing.set(tool, `${tool} is not installed`);
    else {
      const question = daemons[tool];
      if (question === undefined) continue;
      const { exitCode } = await run(question, { cwd: "/", env });
      if (exitCode !== 0) missing.set(tool, `the daemon of ${tool} does not run`);
    }
  }
  return missing;
}
