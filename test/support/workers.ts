import { existsSync, readFileSync } from "node:fs";
import type { LogLine, TestServer } from "./server.ts";

/** The workers of a server that have begun and not ended, by name: the latest of each, as the log tells. */
export function workersOf(server: TestServer): ReadonlyMap<number, number> {
  const workers = new Map<number, number>();
  for (const { event, worker, pid } of server.log()) {
    if (event === "worker started") workers.set(Number(worker), Number(pid));
    else if ((event === "worker died" || event === "worker ended") && workers.get(Number(worker)) === pid)
      workers.delete(Number(worker));
  }
  return workers;
}

/** @throws Error when it is not so within a time that a slow machine keeps, too */
export async function until(what: string, isSo: () => boolean | Promise<boolean>, limitMs = 60_000): Promise<void> {
  for (const deadline = performance.now() + limitMs; !(await isSo()); await Bun.sleep(20)) {
    if (performance.now() > deadline) throw new Error(`not within ${limitMs / 1000} s: ${what}`);
  }
}

/** One that has ended and that nobody has waited for yet still has its number (proc(5), state Z). */
export const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
  } catch {
    return false;
  }
  // Where the system tells no states, its number is all that is known.
  if (!existsSync("/proc/self/stat")) return true;
  try {
    return !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, "utf8"));
  } catch {
    return false;
  }
};

/** Resolves when so many lines of an event, which fit, are in the log. */
export const untilLogged = (
  server: TestServer,
  event: string,
  { count = 1, fits = () => true }: { readonly count?: number; readonly fits?: (line: LogLine) => boolean } = {},
): Promise<void> =>
  until(`${count} x "${event}" in the log`, () => {
    return server.log().filter((line) => line.event === event && fits(line)).length >= count;
  });

/** How many workers serve, as /metrics tells. */
export async function countServing(server: TestServer): Promise<number> {
  const text = await (await fetch(`${server.url}/metrics`)).text();
  return Number(/^berth_workers (\d+)$/m.exec(text)?.[1]);
}
