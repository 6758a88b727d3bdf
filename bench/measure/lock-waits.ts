import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** One time that a process had SQLite's lock of the one who writes. */
export interface LockHold {
  readonly process: number;
  /** From the first time that it was refused the lock to when it got it; most get it at once. */
  readonly waitedMs: number;
  readonly heldMs: number;
}

export interface LockWatch {
  /** What a server runs under. */
  readonly under: readonly string[];
  /** All since it was asked last. */
  readonly take: () => readonly LockHold[];
}

/** Why nobody's locks can be watched here. */
export function missingForLockWaits(): string | undefined {
  if (process.platform !== "linux") return "locks are watched by a preloaded library, on Linux alone";
  return Bun.which("cc") === null ? "a C compiler (cc) is not installed (Debian: gcc)" : undefined;
}

/** A library that is preloaded: a tracer would stop who has the lock at each call, and most of the wait would be its own. */
export function watchLocks(folder: string): LockWatch {
  const [library, file] = [join(folder, "lock-waits.so"), join(folder, "locks")];
  const source = join(import.meta.dir, "lock-waits.c");
  const compiled = Bun.spawnSync(["cc", "-O1", "-shared", "-fPIC", "-o", library, source, "-ldl"]);
  if (!compiled.success) throw new Error(`cc: ${compiled.stderr.toString()}`);
  let taken = 0;
  return {
    under: ["env", `LD_PRELOAD=${library}`, `LOCK_WAITS_FILE=${file}`],
    take() {
      const text = existsSync(file) ? readFileSync(file, "latin1") : "";
      const end = text.lastIndexOf("\n") + 1;
      const holds = parseHolds(text.slice(taken, end));
      taken = end;
      return holds;
    },
  };
}

const parseHolds = (lines: string): readonly LockHold[] =>
  lines
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => {
      const [pid = 0, waitedNs = 0, heldNs = 0] = line.split(" ").map(Number);
      return { process: pid, waitedMs: waitedNs / 1e6, heldMs: heldNs / 1e6 };
    });

/** Whether several processes wrote, none of them next to nothing: the kernel may give one of them all connections. */
export function areShared(holds: readonly LockHold[]): boolean {
  const counts = [...Map.groupBy(holds, (hold) => hold.process).values()].map(({ length }) => length);
  return counts.length > 1 && Math.min(...counts) >= holds.length / 10;
}
