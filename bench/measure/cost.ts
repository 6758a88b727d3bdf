import type { ProcessTree } from "./process-tree.ts";

export interface Cost {
  readonly seconds: number;
  readonly cpuSeconds: number;
  readonly peakMegabytes: number;
}

/** What a piece of work took of the clock, and of the server. */
export async function costOf<T>(
  processes: ProcessTree,
  work: () => Promise<T>,
): Promise<Cost & { readonly result: T }> {
  processes.forgetPeak();
  const before = processes.cpuSeconds();
  const began = performance.now();
  const result = await work();
  const seconds = (performance.now() - began) / 1000;
  return { result, seconds, cpuSeconds: processes.cpuSeconds() - before, peakMegabytes: processes.peakMegabytes() };
}
