import { existsSync } from "node:fs";
import { readdir, readFile, readlink } from "node:fs/promises";

/** What the tests that look at a process need. */
export const missingProcessTable = existsSync("/proc/net/tcp") ? undefined : "this machine has no /proc";

/** The id of the process that listens on a port of this machine, from the kernel's tables. */
export async function processListeningOn(host: string): Promise<string> {
  const port = Number(host.split(":")[1]).toString(16).toUpperCase().padStart(4, "0");
  const rows = (await readFile("/proc/net/tcp", "utf8")).split("\n").map((row) => row.trim().split(/\s+/));
  const listening = "0A";
  const inode = rows.find((row) => row[1]?.endsWith(`:${port}`) === true && row[3] === listening)?.[9] ?? "none";
  for (const pid of (await readdir("/proc")).filter((entry) => /^\d+$/.test(entry))) {
    for (const descriptor of await readdir(`/proc/${pid}/fd`).catch(() => [])) {
      const target = await readlink(`/proc/${pid}/fd/${descriptor}`).catch(() => "");
      if (target === `socket:[${inode}]`) return pid;
    }
  }
  throw new Error(`nobody listens on ${host}`);
}

export const openFiles = async (pid: string): Promise<number> => (await readdir(`/proc/${pid}/fd`)).length;

export async function residentBytes(pid: string): Promise<number> {
  const [, kibibytes] = /^VmRSS:\s+(\d+) kB$/m.exec(await readFile(`/proc/${pid}/status`, "utf8")) ?? [];
  if (kibibytes === undefined) throw new Error(`process ${pid} tells no resident size`);
  return Number(kibibytes) * 1024;
}
