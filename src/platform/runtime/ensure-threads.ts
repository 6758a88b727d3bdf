/**
 * What the runtime reads when the process begins. It reads and writes files in threads of which it has two or a few more:
 * two writes on a disk that hangs would stop every other file. And its collector marks in as many threads as there are
 * processors, which the whole process stands still for until each has had its turn: on two busy processors the median
 * pause beside a push was 2.1 to 7.7 ms in four runs, and 1.2 to 3.4 in the same four with one.
 */
const threads = { UV_THREADPOOL_SIZE: "16", BUN_JSC_numberOfGCMarkers: "1" };

/** `bin/berth` sets the numbers; the executable has to start itself anew for it, in the same process. */
export function ensureThreads(): void {
  const isExecutable = Bun.main.startsWith("/$bunfs/");
  if (!isExecutable || Object.keys(threads).every((name) => process.env[name] !== undefined)) return;
  const [, , ...given] = process.argv;
  process.execve?.(process.execPath, [process.execPath, ...given], { ...threads, ...process.env });
}
