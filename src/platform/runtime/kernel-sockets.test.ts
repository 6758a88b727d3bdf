import { expect, test } from "bun:test";
import { readlink } from "node:fs/promises";
import { connect, createServer, type Server, type Socket } from "node:net";
import { requirement } from "../../../test/support/requirement.ts";
import { openKernelSockets, peerKey } from "./kernel-sockets.ts";

const sockets = openKernelSockets();

async function listen(host: string): Promise<{ server: Server; port: number; accepted: Promise<Socket> }> {
  const accepted = Promise.withResolvers<Socket>();
  const server = createServer((socket) => accepted.resolve(socket));
  await new Promise<void>((resolve) => server.listen(0, host, resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  return { server, port: address.port, accepted: accepted.promise };
}

requirement("a connection", sockets === undefined ? "this system tells nothing of sockets" : undefined, () => {
  if (sockets === undefined) return;
  for (const host of ["127.0.0.1", "::1"]) {
    test(`is found by where it comes from, tells what was taken of it, and can be cut: ${host}`, async () => {
      const { server, port, accepted } = await listen(host);
      const client = connect({ host, port });
      const ended = Promise.withResolvers<void>();
      client.on("error", () => undefined).on("close", () => ended.resolve());
      const socket = await accepted;
      socket.on("error", () => undefined);
      const peer = peerKey({ address: socket.remoteAddress ?? "", port: socket.remotePort ?? 0 });
      const found = await sockets.find(new Set([peer, "192.0.2.1 1"]));
      expect([...found.keys()]).toEqual([peer]);
      const one = found.get(peer);
      if (one === undefined) throw new Error("not found");
      expect(await readlink(`/proc/self/fd/${one.descriptor}`)).toStartWith("socket:");
      const before = sockets.acknowledged(one) ?? 0n;
      client.resume();
      await new Promise((resolve) => socket.write(Buffer.alloc(100_000), resolve));
      for (let waited = 0; (sockets.acknowledged(one) ?? 0n) < before + 100_000n && waited < 10_000; waited += 10)
        await Bun.sleep(10);
      expect((sockets.acknowledged(one) ?? 0n) - before).toBeGreaterThanOrEqual(100_000n);
      // A socket of the same descriptor, but another one.
      sockets.cut({ ...one, cookie: one.cookie + 1n });
      expect(sockets.acknowledged({ ...one, cookie: one.cookie + 1n })).toBeUndefined();
      expect(sockets.acknowledged(one)).toBeDefined();
      sockets.cut(one);
      await ended.promise;
      socket.destroy();
      server.close();
    }, 30_000);
  }
});
