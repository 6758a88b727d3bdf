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

/** What a process has had of the machine's processors, all its threads together. */
export async function processorMs(pid: string): Promise<number> {
  const stat = await readFile(`/proc/${pid}/stat`, "utf8");
  // Counted behind the program's name, which may hold spaces: fields 14 and 15, in hundredths of a second.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) * 10;
}
