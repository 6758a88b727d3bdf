import { afterAll, beforeAll, expect, it } from "bun:test";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TLSSocket } from "node:tls";
import { selfSignedCertificate } from "../../src/platform/certificates/self-signed-certificate.ts";
import { digestOf } from "../protocol/content.ts";
import { missingProcessTable, processListeningOn, residentBytes } from "../protocol/server-process.ts";
import { requirement } from "../support/requirement.ts";
import { startServer, type TestServer } from "../support/server.ts";
import { flags, frame, frameTypes, get, openRaw, remembered, setting } from "./raw-client.ts";

const dayMs = 24 * 3_600_000;
const megabyte = 1024 * 1024;

interface Attack {
  /** As often as `piece` is sent, at the most. */
  readonly times: number;
  readonly piece: (round: number) => Buffer;
  readonly settings?: Buffer;
  /** Sent first. */
  readonly first?: Buffer;
  /** Takes nothing of what the server says. */
  readonly deaf?: true;
}

const { endHeaders, endStream } = flags;
const ofStream = (round: number): number => 2 * round + 1;
const request = (round: number, path: string): Buffer =>
  frame({ type: frameTypes.headers, flags: endHeaders | endStream, stream: ofStream(round), payload: get(path) });
const blob = Buffer.alloc(3_000_000, "x");
const blobPath = `/v2/library/a/blobs/${digestOf(blob)}`;
const repeat = (count: number, one: (index: number) => Buffer): Buffer =>
  Buffer.concat(Array.from({ length: count }, (_, index) => one(index)));

const attacks: Readonly<Record<string, Attack>> = {
  "headers that never end": {
    first: frame({ type: frameTypes.headers, stream: 1, payload: get("/healthz") }),
    piece: (round) =>
      frame({ type: frameTypes.continuation, stream: 1, payload: remembered(`x-${round}`, "y".repeat(16_000)) }),
    times: 8000,
  },
  "headers that never end, a byte at a time": {
    first: frame({ type: frameTypes.headers, stream: 1, payload: get("/healthz") }),
    piece: () => repeat(1000, () => frame({ type: frameTypes.continuation, stream: 1 })),
    times: 500,
  },
  "one header many times over": {
    piece: (round) =>
      frame({
        type: frameTypes.headers,
        flags: endHeaders | endStream,
        stream: ofStream(round),
        payload: Buffer.concat([
          get("/healthz"),
          ...(round === 0 ? [remembered("x", "y".repeat(3900))] : []),
          Buffer.alloc(12_000, 0x80 | 62),
        ]),
      }),
    times: 500,
  },
  "requests that are taken back": {
    piece: (round) =>
      repeat(200, (index) =>
        Buffer.concat([
          request(round * 200 + index, "/readyz"),
          frame({ type: frameTypes.reset, stream: ofStream(round * 200 + index), payload: Buffer.from([0, 0, 0, 8]) }),
        ]),
      ),
    times: 250,
  },
  "pings, and deaf": {
    piece: () => repeat(1000, () => frame({ type: frameTypes.ping, payload: Buffer.alloc(8) })),
    times: 2000,
    deaf: true,
  },
  "settings, and deaf": {
    piece: () => repeat(1000, () => frame({ type: frameTypes.settings, payload: setting(3, 100) })),
    times: 2000,
    deaf: true,
  },
  "empty pieces of a body": {
    first: frame({ type: frameTypes.headers, flags: endHeaders, stream: 1, payload: get("/healthz") }),
    piece: () => repeat(1000, () => frame({ type: frameTypes.data, stream: 1 })),
    times: 1000,
  },
  "blobs that it does not take": {
    settings: setting(4, 0),
    piece: (round) => request(round, blobPath),
    times: 1000,
  },
  "more streams than it may": {
    piece: (round) =>
      frame({ type: frameTypes.headers, flags: endHeaders, stream: ofStream(round), payload: get("/v2/") }),
    times: 20_000,
  },
};

/** Sends until all is sent, the server has had enough, or the time is over. @returns whether the server ended it */
async function run(url: string, { times, piece, settings, first, deaf }: Attack): Promise<boolean> {
  const socket = await openRaw(url, settings);
  try {
    if (deaf === true) socket.pause();
    else socket.resume();
    if (first !== undefined) socket.write(first);
    const deadline = performance.now() + 2500;
    for (let round = 0; round < times && performance.now() < deadline && !isOver(socket); round++)
      if (!socket.write(piece(round))) await drained(socket, deadline);
    // What the server makes of it, it makes now.
    for (const end = performance.now() + 1000; performance.now() < end && !isOver(socket);) await Bun.sleep(20);
    return isOver(socket);
  } finally {
    socket.destroy();
  }
}

const isOver = (socket: TLSSocket): boolean => socket.destroyed || socket.readableEnded || socket.closed;

async function drained(socket: TLSSocket, deadline: number): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, Math.max(0, deadline - performance.now()));
  for (const event of ["drain", "close"]) socket.once(event, resolve);
  await promise;
  for (const event of ["drain", "close"]) socket.off(event, resolve);
  clearTimeout(timer);
}

requirement("HTTP/2 against a server", missingProcessTable, () => {
  let folder = "";
  let server: TestServer;
  let pid = "";
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "berth-http2-"));
    const [from, until] = [new Date(Date.now() - dayMs), new Date(Date.now() + dayMs)];
    const { certPem, keyPem } = selfSignedCertificate({ hosts: ["127.0.0.1"], from, until });
    await writeFile(join(folder, "tls.crt"), certPem);
    await writeFile(join(folder, "tls.key"), keyPem);
    const files = { BERTH_TLS_CERT_FILE: join(folder, "tls.crt"), BERTH_TLS_KEY_FILE: join(folder, "tls.key") };
    server = await startServer({ env: files });
    pid = await processListeningOn(server.host);
    const { username, password } = server.admin;
    const headers = { authorization: `Basic ${btoa(`${username}:${password}`)}` };
    const url = `${server.url}/v2/library/a/blobs/uploads/?digest=${digestOf(blob)}`;
    const pushed = await fetch(url, { method: "POST", headers, body: blob, tls: { rejectUnauthorized: false } });
    expect(pushed.status).toBe(201);
  }, 60_000);
  afterAll(async () => {
    await server[Symbol.asyncDispose]();
    await rm(folder, { recursive: true, force: true });
  });

  const honest = async (): Promise<number> =>
    (await fetch(`${server.url}/healthz`, { tls: { rejectUnauthorized: false } })).status;

  it("answers the same client where it means well", async () => {
    const socket = await openRaw(server.url);
    try {
      const parts: Buffer[] = [];
      socket.on("data", (chunk: Buffer) => parts.push(chunk));
      const begun = { type: frameTypes.headers, flags: endStream, stream: 1, payload: get("/healthz") };
      const rest = {
        type: frameTypes.continuation,
        flags: endHeaders,
        stream: 1,
        payload: remembered("x-a", "y".repeat(300)),
      };
      socket.write(
        Buffer.concat([frame(begun), frame(rest), frame({ type: frameTypes.ping, payload: Buffer.alloc(8, 7) })]),
      );
      const said = (): string => Buffer.concat(parts).toString("latin1");
      for (const deadline = Date.now() + 30_000; !said().includes('{"status":"ok"}') && Date.now() < deadline;)
        await Bun.sleep(10);
      expect(said()).toContain('{"status":"ok"}');
      expect(said()).toContain(Buffer.alloc(8, 7).toString("latin1"));
    } finally {
      socket.destroy();
    }
  }, 60_000);

  for (const [name, attack] of Object.entries(attacks)) {
    it(`${name}: others go on, and no memory is lost`, async () => {
      const before = await residentBytes(pid);
      const state = { running: true };
      const running = run(server.url, attack).finally(() => (state.running = false));
      let most = before;
      while (state.running) {
        expect(await honest()).toBe(200);
        most = Math.max(most, await residentBytes(pid));
        await Bun.sleep(20);
      }
      await running;
      // The most is a hundred streams, each with a piece of a blob read for it.
      expect((most - before) / megabyte).toBeLessThan(192);
      expect(await honest()).toBe(200);
    }, 60_000);
  }
});
