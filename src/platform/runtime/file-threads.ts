/**
 * The runtime reads and writes files in threads of which it has two or a few more, and which it counts when the process
 * begins: two writes on a disk that hangs would stop every other file. `bin/berth` sets the number; the executable has
 * to start itself anew for it, in the same process.
 */
export function ensureFileThreads(): void {
  const isExecutable = Bun.main.startsWith("/$bunfs/");
  if (!isExecutable || process.env["UV_THREADPOOL_SIZE"] !== undefined) return;
  const [, , ...given] = process.argv;
  process.execve?.(process.execPath, [process.execPath, ...given], { ...process.env, UV_THREADPOOL_SIZE: "16" });
}
