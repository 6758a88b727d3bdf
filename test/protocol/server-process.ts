import { existsSync } from "node:fs";
import { readdir, readFile, readlink } from "node:fs/promises";

/** What the tests that look at a process need. */
export const missingProcessTable = existsSync("/proc/net/tcp") ? undefined : "this machine has no /proc";

interface Listener {
  readonly port: number;
  readonly inode: string;
}

async function listeners(): Promise<readonly Listener[]> {
  const rows = (await readFile("/proc/net/tcp", "utf8")).split("\n").map((row) => row.trim().split(/\s+/));
  return rows.flatMap(([, local = "", , state, , , , , , inode = ""]) =>
    state === "0A" ? [{ port: Number.parseInt(local.split(":")[1] ?? "", 16), inode }] : [],
  );
}

/** All ports that a process listens on. */
export async function listeningPorts(pid: number): Promise<readonly number[]> {
  const names = await readdir(`/proc/${pid}/fd`);
  const open = await Promise.all(names.map((name) => readlink(`/proc/${pid}/fd/${name}`).catch(() => "")));
  return (await listeners()).filter(({ inode }) => open.includes(`socket:[${inode}]`)).map(({ port }) => port);
}

/** The id of the process that listens on a port of this machine, from the kernel's tables. */
export async function processListeningOn(host: string): Promise<string> {
  const inode = (await listeners()).find(({ port }) => port === Number(host.split(":")[1]))?.inode ?? "none";
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
