import type { Server } from "bun";
import { type KernelSocket, type KernelSockets, peerKey } from "./kernel-sockets.ts";
import { lookout } from "./lookout.ts";
import type { Patience } from "./patience.ts";

/** An answer that may take its reader long. */
interface Download {
  readonly request: Request;
  readonly server: Server<undefined>;
  readonly remoteAddress: string;
  /** Known from the first look at it. */
  peer?: { readonly address: string; readonly port: number } | undefined;
  socket?: KernelSocket | undefined;
  acknowledged: bigint;
  /** When its reader last took enough (`performance.now`). */
  takenAt: number;
}

export interface DownloadWatch {
  /** From when its answer is begun until it is over. */
  add(request: Request, server: Server<undefined>, remoteAddress: string): void;
}

export interface DownloadWatchOptions {
  readonly patience: Patience;
  readonly sockets: KernelSockets;
  readonly onCut: (remoteAddress: string) => void;
}

const mostMs = 5000;
/** The most that Bun takes; each look sets it again, so that its clock, which sees no slow reader, never ends a download. */
const bunSeconds = 255;
/** What a reader has to take before it counts as one: keeping a connection open takes bytes too. */
const leastBytes = 1024n;

/**
 * Ends downloads whose reader takes nothing. Only the kernel knows: it has taken megabytes off the server before the
 * reader has the first of them, and where it sends a file, the server does not see it move. Small answers cost nothing,
 * others an entry in a set; the kernel is asked about those that last.
 */
export function watchDownloads({ patience, sockets, onCut }: DownloadWatchOptions): DownloadWatch {
  const running = new Set<Download>();
  const stallMs = patience.stallSeconds * 1000;
  let pruneAt = fewest;

  const prune = (): void => {
    // A request that is over has no address any more.
    for (const download of running) if (download.server.requestIP(download.request) === null) running.delete(download);
    pruneAt = Math.max(fewest, running.size * 2);
  };

  const judge = (download: Download, now: number): void => {
    const { socket, request, server } = download;
    const acknowledged = socket && sockets.acknowledged(socket);
    if (socket === undefined || acknowledged === undefined) return;
    server.timeout(request, bunSeconds);
    if (acknowledged - download.acknowledged >= leastBytes) {
      download.acknowledged = acknowledged;
      download.takenAt = now;
    } else if (now - download.takenAt >= stallMs) {
      running.delete(download);
      sockets.cut(socket);
      onCut(download.remoteAddress);
    }
  };

  const start = lookout(Math.min(mostMs, stallMs / 8), async () => {
    prune();
    await locate(running, sockets);
    prune();
    const now = performance.now();
    for (const download of running) judge(download, now);
    return running.size > 0;
  });

  return {
    add(request, server, remoteAddress) {
      if (running.size >= pruneAt) prune();
      running.add({ request, server, remoteAddress, acknowledged: 0n, takenAt: performance.now() });
      start();
    },
  };
}

/** How many may be over before they are sorted out. */
const fewest = 256;

/** Finds the connections of those that are new; one pass over the descriptors for all of them. */
async function locate(running: ReadonlySet<Download>, sockets: KernelSockets): Promise<void> {
  const missing = [...running].filter(({ socket }) => socket === undefined);
  if (missing.length === 0) return;
  for (const download of missing) download.peer ??= download.server.requestIP(download.request) ?? undefined;
  const peers = missing.flatMap(({ peer }) => (peer === undefined ? [] : [peerKey(peer)]));
  const found = await sockets.find(new Set(peers));
  for (const download of missing) if (download.peer !== undefined) download.socket = found.get(peerKey(download.peer));
}
