import { ptr } from "bun:ffi";
import { openLibc } from "./libc.ts";

const variable = "UV_THREADPOOL_SIZE";
const threads = "16";

/**
 * The runtime reads and writes files in threads of which it has two or a few more: two writes on a disk that hangs would
 * stop every other file. It reads their number from the process's own environment when it first needs one, and what is
 * written to `process.env` never gets there. `bin/berth` sets it; the executable does it through the C library, and only
 * where there is none starts itself anew in the same process, which takes 15 ms.
 */
export function ensureFileThreads(): void {
  const isExecutable = Bun.main.startsWith("/$bunfs/");
  if (!isExecutable || process.env[variable] !== undefined) return;
  const [name, value] = [Buffer.from(`${variable}\0`), Buffer.from(`${threads}\0`)];
  if (openLibc()?.setenv(ptr(name), ptr(value), 1) === 0) return;
  const [, , ...given] = process.argv;
  process.execve?.(process.execPath, [process.execPath, ...given], { ...process.env, [variable]: threads });
}
