import { makeBody } from "../clients/body.ts";
import { putBlob } from "../clients/fill.ts";
import { pulling } from "../clients/pull.ts";
import type { Bench, Contestant, Row } from "../measure/row.ts";
import { berth } from "../servers/berth.ts";
import { distribution3, dockerRegistry } from "../servers/distribution.ts";
import { nginx } from "../servers/nginx.ts";
import type { Server } from "../servers/server.ts";
import { zot } from "../servers/zot.ts";

const mebibyte = 1 << 20;

interface Pulls {
  readonly count: number;
  readonly sizeBytes: (bench: Bench) => number;
  readonly connections: number;
  /** Of each, a piece of so many bytes, somewhere. */
  readonly pieceBytes?: number;
  readonly tls?: boolean;
}

const pulls =
  (plan: Pulls) =>
  (server: Server): Contestant => ({
    name: server.name,
    missing: server.missing(),
    async prepare(bench) {
      const started = await server.start({ bench, ...(plan.tls === true && { tls: true }) });
      const sizeBytes = plan.sizeBytes(bench);
      const body = makeBody(sizeBytes);
      const paths: string[] = [];
      while (paths.length < plan.count) paths.push(await putBlob(started, body.next()));
      const { pieceBytes, connections } = plan;
      if (pieceBytes === undefined) {
        return pulling(started, { paths, connections, seconds: bench.seconds, bodyBytes: sizeBytes });
      }
      const rangeOf = (index: number): string => {
        const first = (index * 7 * pieceBytes) % (sizeBytes - pieceBytes);
        return `Range: bytes=${String(first)}-${String(first + pieceBytes - 1)}`;
      };
      return pulling(started, {
        paths,
        connections,
        seconds: bench.seconds,
        bodyBytes: pieceBytes,
        status: 206,
        rangeOf,
      });
    },
  });

const everyone = [berth, dockerRegistry, nginx, distribution3, zot];

export const blob: Row = {
  name: "blob-1mib",
  title: "blob GET 1 MiB, 32 connections",
  contestants: everyone.map(pulls({ count: 16, sizeBytes: () => mebibyte, connections: 32 })),
  targets: [
    { figure: "megabytesPerSecond", of: "berth", times: "docker-registry", atLeast: 2.5 },
    { figure: "cpuSecondsPerGigabyte", of: "berth", times: "nginx", atMost: 1 },
  ],
};

export const largeBlob: Row = {
  name: "blob-256mib",
  title: "blob GET 256 MiB, one connection",
  contestants: everyone.map(
    pulls({ count: 1, sizeBytes: ({ quick }) => (quick ? 32 : 256) * mebibyte, connections: 1 }),
  ),
  targets: [
    { figure: "megabytesPerSecond", of: "berth", times: "nginx", atLeast: 0.95 },
    { figure: "cpuSecondsPerGigabyte", of: "berth", times: "docker-registry", atMost: 0.8 },
  ],
};

export const ranges: Row = {
  name: "range",
  title: "ranged GET of 1 MiB out of 1 GiB, 64 connections",
  contestants: everyone.map(
    pulls({
      count: 1,
      sizeBytes: ({ quick }) => (quick ? 64 : 1024) * mebibyte,
      connections: 64,
      pieceBytes: mebibyte,
    }),
  ),
  targets: [{ figure: "megabytesPerSecond", of: "berth", times: "nginx", atLeast: 0.6 }],
};

export const blobOverTls: Row = {
  name: "blob-tls",
  title: "blob GET over TLS, 8 connections, 16 MiB",
  contestants: everyone.map(pulls({ count: 2, sizeBytes: () => 16 * mebibyte, connections: 8, tls: true })),
  targets: [{ figure: "megabytesPerSecond", of: "berth", times: "docker-registry", atLeast: 1 }],
};
