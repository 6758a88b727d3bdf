import { createServer as createTlsServer } from "node:tls";
import { type Connection, connectToLoopback, listening, takeConnections } from "../net/loopback.ts";
import { readClientHello } from "./client-hello.ts";
import type { Front, Peer } from "./front.ts";

/** What a validation of a host is met with. */
export interface ChallengeCertificate {
  readonly host: string;
  readonly certPem: string;
  readonly keyPem: string;
}

export interface FrontOptions {
  readonly hostname: string;
  readonly port: number;
  /** On the loopback: who all others are taken to. */
  readonly behindPort: number;
  readonly challenges: readonly ChallengeCertificate[];
}

const acmeProtocol = "acme-tls/1";
/** As long as the first message of a TLS connection can get. */
const mostHelloBytes = 16 * 1024 + 5;
const helloMs = 10_000;
/** More at once than may wait for their first message: those that come then are not looked at. */
const mostWaiting = 1024;

/**
 * Takes the connections of a port, which others must share (`reusePort`), reads the first message of each, and passes
 * it on untouched: to the one behind it, or to the answer for an authority that asks for RFC 8737's protocol. It stands
 * there for as long as an authority looks.
 */
export async function openAlpnFront({ hostname, port, behindPort, challenges }: FrontOptions): Promise<Front> {
  const answerer = await listenForValidations(challenges);
  const peers = new Map<number, Peer>();
  const sockets = new Set<Connection>();
  const waiting = new Set<Connection>();
  const passOn = (client: Connection, first: Buffer, toPort: number): void => {
    const behind = connectToLoopback(toPort);
    sockets.add(behind);
    behind.on("connect", () => {
      const { localPort } = behind;
      const { remoteAddress: address, remotePort } = client;
      // Before it has anything to answer.
      if (localPort !== undefined && address !== undefined && remotePort !== undefined)
        peers.set(localPort, { address, port: remotePort });
      behind.on("close", () => peers.delete(localPort ?? 0));
      if (first.length > 0) behind.write(first);
      client.pipe(behind);
      behind.pipe(client);
      client.resume();
    });
    behind.on("error", () => client.destroy());
    client.on("error", () => behind.destroy());
    behind.on("close", () => {
      sockets.delete(behind);
      endSoon(client);
    });
    client.on("close", () => behind.destroy());
  };
  const front = await takeConnections({ hostname, port }, (client) => {
    sockets.add(client);
    client.on("close", () => sockets.delete(client));
    if (waiting.size >= mostWaiting) return passOn(client, Buffer.alloc(0), behindPort);
    waiting.add(client);
    void firstMessage(client).then(({ bytes, isValidation }) => {
      waiting.delete(client);
      if (!client.destroyed) passOn(client, bytes, isValidation ? answerer.port : behindPort);
    });
  }).catch((error: unknown) => {
    answerer.close();
    throw error;
  });
  return {
    peerBehind: (from) => peers.get(from),
    async close() {
      front.close();
      for (const deadline = performance.now() + helloMs; waiting.size > 0 && performance.now() < deadline;)
        await Bun.sleep(20);
      answerer.close();
    },
    destroy() {
      for (const socket of sockets) socket.destroy();
    },
  };
}

interface First {
  readonly bytes: Buffer;
  readonly isValidation: boolean;
}

/** All that had come when it was clear what it is. The socket is paused then. */
function firstMessage(client: Connection): Promise<First> {
  const { promise, resolve } = Promise.withResolvers<First>();
  let bytes = Buffer.alloc(0);
  const done = (isValidation: boolean): void => {
    clearTimeout(timer);
    client.off("data", read);
    client.off("end", end);
    client.off("close", end);
    client.pause();
    resolve({ bytes, isValidation });
  };
  const read = (chunk: Buffer): void => {
    bytes = Buffer.concat([bytes, chunk]);
    const hello = readClientHello(bytes);
    if (hello === undefined && bytes.length <= mostHelloBytes) return;
    done(typeof hello === "object" && hello.protocols.length === 1 && hello.protocols[0] === acmeProtocol);
  };
  const end = (): void => done(false);
  // Whoever is slower than this is the server's to wait for.
  const timer = setTimeout(end, helloMs);
  client.on("data", read);
  client.on("end", end);
  client.on("close", end);
  client.on("error", () => undefined);
  return promise;
}

const lingerMs = 5000;

/** What the server has said is still sent; a client that does not take it is not waited for. */
function endSoon(client: Connection): void {
  if (client.destroyed) return;
  client.end();
  const timer = setTimeout(() => client.destroy(), lingerMs);
  client.on("close", () => clearTimeout(timer));
}

async function listenForValidations(challenges: readonly ChallengeCertificate[]) {
  const [first] = challenges;
  if (first === undefined) throw new Error("a validation of nothing");
  const options = { ALPNProtocols: [acmeProtocol], handshakeTimeout: helloMs };
  // A handshake is all that a validation wants.
  const server = createTlsServer({ ...options, cert: first.certPem, key: first.keyPem }, (socket) => void socket.end());
  for (const { host, certPem, keyPem } of challenges) server.addContext(host, { cert: certPem, key: keyPem });
  server.on("tlsClientError", () => undefined);
  return listening(server, { host: "127.0.0.1", port: 0 });
}
