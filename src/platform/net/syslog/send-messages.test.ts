import { afterEach, describe, expect, test } from "bun:test";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { createServer as createTlsServer } from "node:tls";
import { selfSignedCertificate } from "../../certificates/self-signed-certificate.ts";
import { type Collector, CollectorError, sendMessages } from "./send-messages.ts";

const open: Server[] = [];
const sockets = new Set<Socket>();
afterEach(() => {
  for (const socket of sockets) socket.destroy();
  sockets.clear();
  for (const server of open.splice(0)) server.close();
});

const dayMs = 86_400_000;
const { certPem, keyPem } = selfSignedCertificate({
  hosts: ["127.0.0.1"],
  from: new Date(Date.now() - dayMs),
  until: new Date(Date.now() + dayMs),
});

/** A collector that does what it is told with each connection. */
async function listen(
  onConnection: (socket: Socket) => void,
  transport: "tcp" | "tls" = "tcp",
): Promise<Collector & { readonly transport: "tcp" | "tls" }> {
  const keep = (socket: Socket): void => {
    sockets.add(socket);
    socket.on("error", () => undefined);
    onConnection(socket);
  };
  const server =
    transport === "tcp"
      ? createServer({ allowHalfOpen: true }, keep)
      : createTlsServer({ allowHalfOpen: true, cert: certPem, key: keyPem }, keep);
  server.on("tlsClientError", () => undefined);
  open.push(server);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  return { transport, host: "127.0.0.1", port, ...(transport === "tls" && { ca: certPem }) };
}

const messages = (count: number, bytes: number): readonly Uint8Array[] =>
  Array.from({ length: count }, (_, index) => Buffer.from(`${index} `.padEnd(bytes, "x")));

const framesOf = (sent: readonly Uint8Array[]): string =>
  sent.map((message) => `${message.byteLength} ${Buffer.from(message).toString()}`).join("");

const outcome = async (sending: Promise<void>): Promise<string> => {
  const [settled] = await Promise.allSettled([sending]);
  if (settled.status === "fulfilled") return "sent";
  if (!(settled.reason instanceof CollectorError)) throw settled.reason;
  return settled.reason.message;
};

const longMs = 30_000;

for (const transport of ["tcp", "tls"] as const) {
  describe(`over ${transport}`, () => {
    test("all of it has been read when it resolves, however slowly", async () => {
      const sent = messages(200, 20_000);
      let received = "";
      const collector = await listen((socket) => {
        socket.on("data", (chunk: Buffer) => {
          received += chunk.toString();
          socket.pause();
          setTimeout(() => socket.resume(), 2);
        });
        socket.on("end", () => setTimeout(() => socket.end(), 100));
      }, transport);
      expect(await outcome(sendMessages(collector, sent, longMs))).toBe("sent");
      expect(received === framesOf(sent)).toBe(true);
    }, 60_000);

    test("it is not sent where the collector closes before the end, at once or later", async () => {
      const closers: readonly ((socket: Socket) => void)[] = [
        (socket) => socket.end(),
        (socket) => socket.destroy(),
        (socket) => socket.once("data", () => socket.destroy()),
        (socket) => socket.once("data", () => socket.end()),
      ];
      for (const close of closers) {
        const collector = await listen(close, transport);
        expect(await outcome(sendMessages(collector, messages(200, 20_000), longMs))).not.toBe("sent");
      }
    }, 60_000);

    test("it is not sent where the collector does not take it, or does not say that it has", async () => {
      const takesNothing = await listen((socket) => void socket.pause(), transport);
      expect(await outcome(sendMessages(takesNothing, messages(500, 20_000), 1000))).toContain("in time");
      const neverEnds = await listen((socket) => void socket.resume(), transport);
      expect(await outcome(sendMessages(neverEnds, messages(1, 10), 1000))).toContain("in time");
    }, 60_000);

    test("it is not sent where nobody listens", async () => {
      const collector = await listen(() => undefined, transport);
      const [server] = open.splice(0);
      await new Promise((resolve) => server?.close(resolve));
      expect(await outcome(sendMessages(collector, messages(1, 10), longMs))).toContain("cannot be reached");
    });
  });
}

test("nothing is said to whoever has another certificate, or none", async () => {
  let received = 0;
  const count = (socket: Socket): void => void socket.on("data", ({ length }: Buffer) => (received += length));
  const { ca: _, ...untrusted } = await listen(count, "tls");
  expect(await outcome(sendMessages(untrusted, messages(1, 10), longMs))).toContain("cannot be reached");
  expect(received).toBe(0);
  const plain = await listen((socket) => void socket.end("no TLS here"));
  expect(await outcome(sendMessages({ ...plain, transport: "tls" }, messages(1, 10), longMs))).not.toBe("sent");
});

test("each message is a datagram over UDP", async () => {
  const socket = createSocket("udp4");
  const received: string[] = [];
  const { promise: whole, resolve } = Promise.withResolvers<undefined>();
  socket.on("message", (message) => {
    received.push(message.toString());
    if (received.length === 3) resolve(undefined);
  });
  socket.bind(0, "127.0.0.1");
  await once(socket, "listening");
  await sendMessages({ transport: "udp", host: "127.0.0.1", port: socket.address().port }, messages(3, 10), longMs);
  await whole;
  expect(received).toEqual(messages(3, 10).map((message) => Buffer.from(message).toString()));
  socket.close();
});
