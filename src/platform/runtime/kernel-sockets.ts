import { ptr } from "bun:ffi";
import { readdirSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { type Libc, openLibc } from "./libc.ts";

/** A connection of this process as the kernel knows it. */
export interface KernelSocket {
  readonly descriptor: number;
  /** The kernel's name for it, which no later socket has: a descriptor's number is soon another's. */
  readonly cookie: bigint;
}

/** What the kernel tells of connections, which no interface of the runtime does. Everything here is asked at once. */
export interface KernelSockets {
  /** The connections that come from these peers, under `peerKey`. */
  find(peers: ReadonlySet<string>): Promise<ReadonlyMap<string, KernelSocket>>;
  /** How many bytes the other end has confirmed so far; `undefined` when the connection is no more. */
  acknowledged(socket: KernelSocket): bigint | undefined;
  /** Ends it for both sides and drops what the other end has not taken. The runtime learns of it as of any other end. */
  cut(socket: KernelSocket): void;
}

export const peerKey = ({ address, port }: { readonly address: string; readonly port: number }): string =>
  `${address} ${port}`;

/** Numbers of Linux, the same on x86-64 and arm64. */
const [solSocket, soLinger, soCookie, ipprotoTcp, tcpInfo, shutBoth] = [1, 13, 57, 6, 11, 2];
const [inet, inet6] = [2, 10];
/** Where `tcpi_bytes_acked` is in `struct tcp_info`; kernels before 4.1 give less than that. */
const acknowledgedAt = 120;
const descriptors = "/proc/self/fd";

/** `undefined` where the system is not Linux, or does not let a process see its own descriptors. */
export function openKernelSockets(): KernelSockets | undefined {
  try {
    readdirSync(descriptors);
  } catch {
    return undefined;
  }
  const libc = openLibc();
  return libc && kernelSockets(libc);
}

/** How many descriptors are looked at before others have their turn. */
const inOneTurn = 200;

function kernelSockets(libc: Libc): KernelSockets {
  const bytes = Buffer.alloc(256);
  const length = new Uint32Array(1);
  const text = Buffer.alloc(64);
  const option = (descriptor: number, [level, name]: readonly [number, number]): number => {
    length[0] = bytes.length;
    return libc.getsockopt(descriptor, level, name, ptr(bytes), ptr(length)) === 0 ? (length[0] ?? 0) : 0;
  };
  const cookieOf = (descriptor: number): bigint | undefined =>
    option(descriptor, [solSocket, soCookie]) === 8 ? bytes.readBigUInt64LE(0) : undefined;
  const peerOf = (descriptor: number): string | undefined => {
    length[0] = bytes.length;
    if (libc.getpeername(descriptor, ptr(bytes), ptr(length)) !== 0) return undefined;
    const family = bytes.readUInt16LE(0);
    if (family !== inet && family !== inet6) return undefined;
    text.fill(0);
    libc.inet_ntop(family, ptr(bytes, family === inet ? 4 : 8), ptr(text), text.length);
    return peerKey({ address: text.toString("latin1", 0, text.indexOf(0)), port: bytes.readUInt16BE(2) });
  };
  const isStill = ({ descriptor, cookie }: KernelSocket): boolean => cookieOf(descriptor) === cookie;
  return {
    async find(peers) {
      const found = new Map<string, KernelSocket>();
      for (const [index, name] of (await readdir(descriptors)).entries()) {
        if (index % inOneTurn === 0) await new Promise((resolve) => setImmediate(resolve));
        const descriptor = Number(name);
        const peer = peerOf(descriptor);
        if (peer === undefined || !peers.has(peer)) continue;
        const cookie = cookieOf(descriptor);
        if (cookie !== undefined) found.set(peer, { descriptor, cookie });
      }
      return found;
    },
    acknowledged(socket) {
      if (!isStill(socket)) return undefined;
      const size = option(socket.descriptor, [ipprotoTcp, tcpInfo]);
      return size < acknowledgedAt + 8 ? undefined : bytes.readBigUInt64LE(acknowledgedAt);
    },
    cut(socket) {
      if (!isStill(socket)) return;
      // Lingering for no time: what is queued is dropped with the connection, instead of waiting for its reader.
      bytes.writeInt32LE(1, 0);
      bytes.writeInt32LE(0, 4);
      libc.setsockopt(socket.descriptor, solSocket, soLinger, ptr(bytes), 8);
      libc.shutdown(socket.descriptor, shutBoth);
    },
  };
}
