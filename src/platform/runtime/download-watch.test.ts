import { expect, test } from "bun:test";
import type { Server } from "bun";
import { watchDownloads } from "./download-watch.ts";
import type { KernelSocket, KernelSockets } from "./kernel-sockets.ts";

const patience = { idleSeconds: 1, stallSeconds: 1.5, minBytesPerSecond: 1 };
const limitMs = 20_000;

async function until(isSo: () => boolean): Promise<void> {
  for (const end = performance.now() + limitMs / 2; !isSo(); await Bun.sleep(5)) {
    if (performance.now() > end) throw new Error("it did not come to be");
  }
}

/** A server of requests that go on until they are ended, each on a connection of its own. */
function world() {
  const over = new Set<Request>();
  const lifted = new Map<Request, number>();
  const ports = new Map<Request, number>();
  const acknowledged = new Map<number, bigint>();
  const cut: string[] = [];
  let failures = 0;
  const server = {
    requestIP: (request: Request) =>
      over.has(request) ? null : { address: "192.0.2.1", port: ports.get(request) ?? 0, family: "IPv4" },
    timeout: (request: Request) => lifted.set(request, (lifted.get(request) ?? 0) + 1),
  };
  const sockets: KernelSockets = {
    async find(peers) {
      if (failures-- > 0) throw new Error("EMFILE");
      return new Map(
        [...peers].map((peer): [string, KernelSocket] => [
          peer,
          { descriptor: Number(peer.split(" ")[1]), cookie: 1n },
        ]),
      );
    },
    acknowledged: ({ descriptor }) => acknowledged.get(descriptor),
    cut: ({ descriptor }) => cut.push(String(descriptor)),
  };
  const told: string[] = [];
  const watch = watchDownloads({ patience, sockets, onCut: (address) => told.push(address) });
  return {
    over,
    lifted,
    acknowledged,
    cut,
    told,
    failNext: (times: number) => (failures = times),
    begin(port: number): Request {
      const request = new Request("http://registry.example/");
      ports.set(request, port);
      acknowledged.set(port, 0n);
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- what the watch asks of a server
      watch.add(request, server as unknown as Server<undefined>, "192.0.2.1");
      return request;
    },
  };
}

test(
  "a download whose reader takes nothing is cut, once, and one whose reader goes on is not",
  async () => {
    const { begin, acknowledged, cut, told, over, lifted } = world();
    const [, reading] = [begin(1), begin(2)];
    const reader = setInterval(() => acknowledged.set(2, (acknowledged.get(2) ?? 0n) + 1024n), 10);
    await until(() => cut.length > 0);
    await Bun.sleep(2000);
    clearInterval(reader);
    expect([cut, told]).toEqual([["1"], ["192.0.2.1"]]);
    expect(lifted.get(reading) ?? 0).toBeGreaterThan(2);
    over.add(reading);
  },
  limitMs,
);

test(
  "what only keeps a connection open is not taken for reading",
  async () => {
    const { begin, acknowledged, cut } = world();
    begin(1);
    const pinging = setInterval(() => acknowledged.set(1, (acknowledged.get(1) ?? 0n) + 1n), 20);
    await until(() => cut.length > 0);
    clearInterval(pinging);
  },
  limitMs,
);

test(
  "one that is over is let alone, whoever has its connection now",
  async () => {
    const { begin, over, cut, lifted } = world();
    const request = begin(1);
    await until(() => (lifted.get(request) ?? 0) > 0);
    over.add(request);
    await Bun.sleep(2000);
    expect(cut).toEqual([]);
  },
  limitMs,
);

test(
  "one whose connection is not found has the clock of the runtime, and is looked for again",
  async () => {
    const { begin, cut, failNext, lifted } = world();
    failNext(5);
    const request = begin(1);
    await Bun.sleep(50);
    expect(lifted.has(request)).toBe(false);
    await until(() => cut.length > 0);
  },
  limitMs,
);
