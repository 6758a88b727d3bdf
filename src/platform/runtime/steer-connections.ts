import { ptr } from "bun:ffi";
import { readdir, readFile, readlink } from "node:fs/promises";
import { openLibc } from "./libc.ts";

/**
 * Where two of our listeners share a port, has the kernel give every new connection to the one that came last. Without
 * it, connections go to both, and those that wait in the queue of the one that ends are refused. Linux alone can do it,
 * and only where nobody else shares the port. @returns whether it does
 */
export async function steerToNewest(port: number): Promise<boolean> {
  try {
    const listeners = (await Promise.all(["tcp", "tcp6"].map(readListeners))).flat().filter((one) => one.port === port);
    const own = await ownDescriptors(listeners);
    const [first] = own;
    if (first === undefined) return false;
    // Of one address, for the kernel keeps those apart; in the order in which they came.
    const sharing = listeners.filter(({ address }) => address === first.address);
    if (sharing.length !== 2 || own.length !== 2) return false;
    return attach(first.descriptor);
  } catch {
    // No /proc, no such library, no such call: it can be done without.
    return false;
  }
}

interface Listener {
  readonly address: string;
  readonly port: number;
  readonly inode: string;
}

const listening = "0A";

async function readListeners(table: string): Promise<readonly Listener[]> {
  const text = await readFile(`/proc/self/net/${table}`, "utf8").catch(() => "");
  return text.split("\n").flatMap((line) => {
    const [, local = "", , state, , , , , , inode = ""] = line.trim().split(/\s+/);
    const [address = "", port = ""] = local.split(":");
    return state === listening ? [{ address, port: Number.parseInt(port, 16), inode }] : [];
  });
}

async function ownDescriptors(listeners: readonly Listener[]) {
  const links = new Map(listeners.map((one) => [`socket:[${one.inode}]`, one]));
  const found: (Listener & { readonly descriptor: number })[] = [];
  for (const name of await readdir("/proc/self/fd")) {
    const listener = links.get(await readlink(`/proc/self/fd/${name}`).catch(() => ""));
    if (listener !== undefined) found.push({ ...listener, descriptor: Number(name) });
  }
  return found;
}

const solSocket = 1;
const attachReuseportFilter = 51;

/** A filter for the port (classic BPF) of one instruction: the second of the two, counted from 0. */
function attach(descriptor: number): boolean {
  const returnOne = new DataView(new ArrayBuffer(8));
  returnOne.setUint16(0, 0x06, true);
  returnOne.setUint32(4, 1, true);
  const program = new DataView(new ArrayBuffer(16));
  program.setUint16(0, 1, true);
  program.setBigUint64(8, BigInt(ptr(returnOne)), true);
  const libc = openLibc();
  return libc?.setsockopt(descriptor, solSocket, attachReuseportFilter, ptr(program), program.byteLength) === 0;
}
