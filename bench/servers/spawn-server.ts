import { closeSync, ftruncateSync, openSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { withoutSettings } from "../../test/support/server.ts";
import { processTree } from "../measure/process-tree.ts";
import type { Started, StartOptions } from "./server.ts";

interface Spawn {
  readonly command: readonly string[];
  readonly host: string;
  readonly data: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly authorization?: string;
  readonly options: StartOptions;
}

const startLimitMs = 60_000;

/** Starts a server whose log goes to a file, and waits until it answers. It ends with the row. */
export async function spawnServer({ command, host, data, env, authorization, options }: Spawn): Promise<Started> {
  const log = join(options.bench.folder.path, `${host.replace(":", "-")}.log`);
  const output = openSync(log, "a");
  const began = performance.now();
  const child = Bun.spawn([...(options.under ?? []), ...command], {
    env: { ...withoutSettings(process.env), ...env },
    stdin: "ignore",
    stdout: output,
    stderr: output,
  });
  const processes = processTree(child.pid);
  const isTls = options.tls === true;
  const stop = async (): Promise<void> => {
    child.kill("SIGTERM");
    const killing = setTimeout(() => child.kill("SIGKILL"), 15_000);
    await child.exited;
    clearTimeout(killing);
  };
  options.bench.used.defer(async () => {
    processes.kill();
    await child.exited;
    ftruncateSync(output);
    closeSync(output);
  });
  for (const deadline = performance.now() + startLimitMs; !(await answers(host, isTls)); await Bun.sleep(1)) {
    if (child.exitCode === null && performance.now() < deadline) continue;
    throw new Error(`${command[0] ?? ""} does not answer: ${readFileSync(log, "utf8").slice(-2000)}`);
  }
  const startMs = performance.now() - began;
  return { host, isTls, data, processes, authorization, startMs, stop };
}

/** 503 is what says "not yet". */
async function answers(host: string, isTls: boolean): Promise<boolean> {
  try {
    const tls = { rejectUnauthorized: false };
    const { status } = await fetch(`${isTls ? "https" : "http"}://${host}/v2/`, { tls, keepalive: false });
    return status !== 503;
  } catch {
    return false;
  }
}
