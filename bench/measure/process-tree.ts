import { readdirSync, readFileSync, writeFileSync } from "node:fs";

/** What the kernel counts for a process and all that it started; how it does so is /proc's alone. */
export interface ProcessTree {
  /** Of all processors, in user and system, by every process that lives or was waited for. */
  cpuSeconds(): number;
  /** The most memory that was resident since `forgetPeak`, each process's own peak added up. */
  peakMegabytes(): number;
  residentMegabytes(): number;
  forgetPeak(): void;
  /** Ends all of it at once: a process that is killed leaves its children running. */
  kill(): void;
}

const ticksPerSecond = 100;

export function processTree(root: number): ProcessTree {
  const sum = (of: (pid: number) => number): number => treeOf(root).reduce((total, pid) => total + of(pid), 0);
  return {
    cpuSeconds: () => sum(cpuSeconds),
    peakMegabytes: () => sum((pid) => megabytes(pid, "VmHWM")),
    residentMegabytes: () => sum((pid) => megabytes(pid, "VmRSS")),
    forgetPeak() {
      // 5 sets a process's peak to what is resident now (proc(5), clear_refs).
      for (const pid of treeOf(root)) writeFileSync(`/proc/${pid}/clear_refs`, "5");
    },
    kill() {
      for (const pid of treeOf(root)) {
        try {
          process.kill(pid, "SIGKILL");
        } catch {
          // It has ended by itself.
        }
      }
    },
  };
}

const ended = "";
const read = (path: string): string => {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return ended;
  }
};

/** Counted behind the program's name, which may hold spaces: the first is the state, field 3 of proc(5). */
const statOf = (pid: number): readonly string[] => {
  const stat = read(`/proc/${pid}/stat`);
  return stat.slice(stat.lastIndexOf(")") + 2).split(" ");
};

function treeOf(root: number): readonly number[] {
  const children = Map.groupBy(
    readdirSync("/proc")
      .filter((name) => /^\d+$/.test(name))
      .map(Number),
    (pid) => Number(statOf(pid)[1]),
  );
  const found: number[] = [];
  for (const waiting = [root]; waiting.length > 0;) {
    const pid = waiting.pop() ?? 0;
    found.push(pid);
    waiting.push(...(children.get(pid) ?? []));
  }
  return found;
}

/** utime, stime, and the same of children that were waited for. */
function cpuSeconds(pid: number): number {
  const fields = statOf(pid).slice(11, 15).map(Number);
  return fields.reduce((total, ticks) => total + ticks, 0) / ticksPerSecond;
}

function megabytes(pid: number, field: string): number {
  const [, kibibytes = "0"] = new RegExp(`^${field}:\\s+(\\d+) kB$`, "m").exec(read(`/proc/${pid}/status`)) ?? [];
  return (Number(kibibytes) * 1024) / 1e6;
}
