import { ptr } from "bun:ffi";
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { openLibc } from "./libc.ts";

// A server of several processes has one listening socket, and so one queue of connections: whichever process is free
// takes the next one, and those that wait survive the process that dies. Bun listens on no socket that it is given, so
// a server first listens where nobody looks, and its descriptor is then made to mean the shared socket. With a socket
// for each process (SO_REUSEPORT) the kernel would refuse what waits at the one that ends.

const solSocket = 1;
const solTcp = 6;
const tcpInfo = 11;
const soAcceptConn = 30;
const soAttachFilter = 26;
const duplicateCloseOnExec = 1030;
const closeOnExec = 0o2000000;
const emptyMs = 100;
const longestDrainMs = 2000;
const epollAdd = 1;
const epollDelete = 2;

/** A socket that listens, kept open by this process, which takes no connection from it. */
export interface ListeningSocket {
  readonly descriptor: number;
  readonly port: number;
}

/** Why no socket can be shared here; `undefined` where one can. */
export const missingForSharing = (): string | undefined =>
  openLibc() === undefined || listOpenFiles().length === 0 ? "it needs Linux with /proc" : undefined;

/** Takes a port, alone, for processes that are to share it. @throws Error EADDRINUSE when someone listens there */
export function openListeningSocket(hostname: string, port: number): ListeningSocket {
  const server = Bun.serve({ hostname, port, reusePort: false, fetch: () => new Response(null, { status: 503 }) });
  // Nothing is awaited before its end, so that this server takes no connection.
  try {
    const taken = server.port ?? port;
    const [found = -1] = findListening(taken);
    const descriptor = openLibc()?.fcntl(found, duplicateCloseOnExec, 3) ?? -1;
    if (descriptor === -1) throw new Error("the listening socket cannot be shared");
    return { descriptor, port: taken };
  } finally {
    void server.stop(true);
  }
}

/** Where a server that shares a socket listens at first. */
export const nowhere = { hostname: "127.0.0.1", port: 0 } as const;

/** A process's place at a shared socket. */
export interface Place {
  /** Takes no more connections; those that wait are for the others. */
  leave(): void;
}

/** Makes the server that listens on `port`, which nobody knows, take its connections from the shared socket. */
export function shareSocket(shared: number, port: number): Place {
  const libc = openLibc();
  const [descriptor] = findListening(port);
  const poll = descriptor === undefined ? undefined : findPoll(descriptor);
  if (libc === undefined || descriptor === undefined || poll === undefined) {
    throw new Error("the server's listening socket was not found");
  }
  // The descriptor's old socket is closed by this, and leaves the poll.
  if (libc.dup3(shared, descriptor, closeOnExec) === -1) throw new Error("the shared socket is not open");
  if (libc.epoll_ctl(poll.descriptor, epollAdd, descriptor, ptr(poll.event)) === -1) {
    throw new Error("the shared socket cannot be polled");
  }
  return { leave: () => void libc.epoll_ctl(poll.descriptor, epollDelete, descriptor, ptr(poll.event)) };
}

/**
 * Lets no new connection begin at the sockets that listen on a port; those that have begun can be taken. The others'
 * first packets are dropped, which their kernels send again after a second: to who listens then, or to be refused.
 */
export function refuseNewcomers(port: number): void {
  for (const descriptor of findListening(port)) dropFirstPackets(descriptor);
}

/** The same for a socket that others share, and waits until they have taken what had come. */
export async function drainNewcomers({ descriptor }: ListeningSocket): Promise<void> {
  dropFirstPackets(descriptor);
  const from = performance.now();
  // What was in the middle of its handshake comes a little later.
  let emptySince = from;
  for (; performance.now() - emptySince < emptyMs && performance.now() - from < longestDrainMs;) {
    await Bun.sleep(10);
    if (countWaiting(descriptor) > 0) emptySince = performance.now();
  }
}

/** Connections that nobody has taken yet. */
function countWaiting(descriptor: number): number {
  const info = new DataView(new ArrayBuffer(104));
  const length = new Uint32Array([info.byteLength]);
  const isTold = openLibc()?.getsockopt(descriptor, solTcp, tcpInfo, ptr(info), ptr(length)) === 0;
  // Of a socket that listens, the kernel tells this in the place of unacknowledged packets.
  return isTold ? info.getUint32(24, true) : 0;
}

function dropFirstPackets(descriptor: number): void {
  // On the TCP header: its flags, of those SYN and ACK; with SYN alone nothing of the packet is taken, else all of it.
  const program = [
    [0x30, 0, 0, 13],
    [0x54, 0, 0, 0x12],
    [0x15, 0, 1, 0x02],
    [0x06, 0, 0, 0],
    [0x06, 0, 0, 0xffff_ffff],
  ] as const;
  const instructions = new DataView(new ArrayBuffer(program.length * 8));
  for (const [index, [code, ifTrue, ifFalse, value]] of program.entries()) {
    instructions.setUint16(index * 8, code, true);
    instructions.setUint8(index * 8 + 2, ifTrue);
    instructions.setUint8(index * 8 + 3, ifFalse);
    instructions.setUint32(index * 8 + 4, value, true);
  }
  const filter = new DataView(new ArrayBuffer(16));
  filter.setUint16(0, program.length, true);
  filter.setBigUint64(8, BigInt(ptr(instructions)), true);
  openLibc()?.setsockopt(descriptor, solSocket, soAttachFilter, ptr(filter), filter.byteLength);
}

/** Descriptors of this process's sockets that listen on a port. */
function findListening(port: number): readonly number[] {
  const libc = openLibc();
  if (libc === undefined) return [];
  const [value, length] = [new Int32Array(1), new Uint32Array(1)];
  const address = new DataView(new ArrayBuffer(128));
  return listOpenFiles().filter((descriptor) => {
    length[0] = value.byteLength;
    value[0] = 0;
    if (libc.getsockopt(descriptor, solSocket, soAcceptConn, ptr(value), ptr(length)) === -1 || value[0] !== 1) {
      return false;
    }
    length[0] = address.byteLength;
    return libc.getsockname(descriptor, ptr(address), ptr(length)) === 0 && address.getUint16(2) === port;
  });
}

interface Poll {
  readonly descriptor: number;
  /** A `struct epoll_event`: what is waited for, and what the event loop knows the socket by. */
  readonly event: DataView;
}

function findPoll(watched: number): Poll | undefined {
  for (const descriptor of listOpenFiles()) {
    if (read(() => readlinkSync(`/proc/self/fd/${descriptor}`)) !== "anon_inode:[eventpoll]") continue;
    const lines = read(() => readFileSync(`/proc/self/fdinfo/${descriptor}`, "utf8")) ?? "";
    const line = new RegExp(`^tfd:\\s+${watched} events:\\s+([0-9a-f]+) data:\\s+([0-9a-f]+)`, "m");
    const [, events, data] = line.exec(lines) ?? [];
    if (events === undefined || data === undefined) continue;
    const event = new DataView(new ArrayBuffer(16));
    event.setUint32(0, Number.parseInt(events, 16), true);
    // The structure is packed on this one architecture alone.
    event.setBigUint64(process.arch === "x64" ? 4 : 8, BigInt(`0x${data}`), true);
    return { descriptor, event };
  }
  return undefined;
}

const listOpenFiles = (): readonly number[] => (read(() => readdirSync("/proc/self/fd")) ?? []).map(Number);

/** What is gone meanwhile is nothing. */
function read<T>(look: () => T): T | undefined {
  try {
    return look();
  } catch {
    return undefined;
  }
}
