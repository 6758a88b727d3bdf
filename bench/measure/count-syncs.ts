import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Server, Started } from "../servers/server.ts";
import type { Bench } from "./row.ts";

const syncs = "fsync,fdatasync,sync_file_range,syncfs,sync,msync";

export const missingStrace = (): string | undefined =>
  Bun.which("strace") === null ? "strace is not installed (Debian: strace)" : undefined;

/** Runs a server as strace's parent's child: signals and counters are then those of the server itself. */
export const straced = (...options: readonly string[]): readonly string[] => [
  "strace",
  "-D",
  "-f",
  "-qq",
  "--seccomp-bpf",
  "--signal=none",
  ...options,
];

/**
 * How often a server makes the disk write for each thing that `work` pushes, on a server of its own that nobody times:
 * a tracer makes every sync slower.
 * @param work answers how many things it pushed
 * @returns nothing where there is no strace
 */
export async function countSyncs(
  server: Server,
  bench: Bench,
  work: (traced: Started) => Promise<number>,
): Promise<number | undefined> {
  if (missingStrace() !== undefined) return undefined;
  const file = join(bench.folder.make("trace"), "syncs");
  await using used = bench.used.use(new AsyncDisposableStack());
  const under = straced("-e", `trace=${syncs},openat`, "-o", file);
  const traced = await server.start({ bench: { ...bench, used }, under });
  const count = async (): Promise<number> => (await readFile(file, "latin1")).split("\n").filter(isSync).length;
  // What it does at its start, and beside everything, is over.
  await Bun.sleep(500);
  const before = await count();
  const things = await work(traced);
  const after = await count();
  return (after - before) / things;
}

/** Of a file that is synced as it is written, its opening stands for its one write. */
const isSync = (line: string): boolean => line.endsWith(" = 0") || line.includes("O_DSYNC");
