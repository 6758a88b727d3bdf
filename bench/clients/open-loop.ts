import { resolve } from "node:path";
import { run } from "../../scripts/proof/run.ts";
import type { Started } from "../servers/server.ts";

export interface OpenLoop {
  readonly path: string;
  readonly perSecond: number;
  readonly seconds: number;
}

export interface Latency {
  readonly p50Ms: number;
  readonly p99Ms: number;
}

const client = resolve(import.meta.dir, "open-loop-client.ts");

/** Gets at a fixed rate, from a process that does nothing else. */
export async function openLoop({ host }: Started, { path, perSecond, seconds }: OpenLoop): Promise<Latency> {
  const command = [process.execPath, client, host, path, String(perSecond), String(seconds)];
  const { output, exitCode } = await run(command, { cwd: "/" });
  if (exitCode !== 0) throw new Error(`the open loop failed: ${output}`);
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- what its last line writes
  return JSON.parse(output) as Latency;
}
