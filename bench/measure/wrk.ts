import { run } from "../../scripts/proof/run.ts";

export interface WrkResult {
  readonly requests: number;
  readonly seconds: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

export interface WrkPlan {
  readonly url: string;
  readonly connections: number;
  readonly seconds: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** A Lua file that makes the requests, and what it is told. */
  readonly script?: { readonly file: string; readonly args: readonly string[] };
}

export const missingWrk = (): string | undefined =>
  Bun.which("wrk") === null ? "wrk is not installed (Debian: wrk)" : undefined;

/** One thread: the other processor is the server's. */
export async function runWrk({ url, connections, seconds, headers = {}, script }: WrkPlan): Promise<WrkResult> {
  const { output, exitCode } = await run(
    [
      "wrk",
      "--latency",
      "--threads=1",
      `--connections=${connections}`,
      `--duration=${seconds}s`,
      // A slow server is slow, and not wrong.
      "--timeout=30s",
      ...Object.entries(headers).flatMap(([name, value]) => ["--header", `${name}: ${value}`]),
      ...(script === undefined ? [url] : ["--script", script.file, url, "--", ...script.args]),
    ],
    { cwd: "/" },
  );
  if (exitCode !== 0) throw new Error(`wrk ended with ${exitCode}: ${output}`);
  return parseWrk(output);
}

const msPerUnit: Readonly<Record<string, number>> = { us: 0.001, ms: 1, s: 1000, m: 60_000 };

/** @throws Error where an answer was an error, or a connection failed: such a figure is worth nothing */
export function parseWrk(output: string): WrkResult {
  const refused = /Non-2xx or 3xx responses: \d+/.exec(output)?.[0];
  if (refused !== undefined) throw new Error(`wrk: ${refused}`);
  // Where the run ends in the middle of an answer, that counts as a read error.
  const failed = /Socket errors: .*/.exec(output)?.[0];
  if (failed !== undefined && !/connect 0, read \d+, write 0, timeout 0$/.test(failed))
    throw new Error(`wrk: ${failed}`);
  const [, requests, amount, unit = ""] = /(\d+) requests in ([\d.]+)(\w+)/.exec(output) ?? [];
  const percentile = (part: string): number => {
    const [, value, of = ""] = new RegExp(`^\\s+${part}%\\s+([\\d.]+)(\\w+)\\s*$`, "m").exec(output) ?? [];
    return Number(value) * (msPerUnit[of] ?? Number.NaN);
  };
  const result = {
    requests: Number(requests),
    seconds: (Number(amount) * (msPerUnit[unit] ?? Number.NaN)) / 1000,
    p50Ms: percentile("50"),
    p99Ms: percentile("99"),
  };
  if (!Object.values(result).every(Number.isFinite)) throw new Error(`wrk said something else: ${output}`);
  return result;
}
