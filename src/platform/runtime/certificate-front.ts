import type { Socket, SocketHandler, TCPSocketListener } from "bun";
import type { Certificate } from "../certificates/certificate.ts";
import { dialLoopback } from "../net/loopback.ts";
import type { Front, Peer } from "./front.ts";

export interface CertificateFrontOptions {
  readonly hostname: string;
  readonly port: number;
  readonly sharesPort: boolean;
  readonly certificate: Certificate;
  /** On the loopback: who speaks HTTP with those that come in. */
  readonly behindPort: number;
  /** How long a client is waited for that takes nothing of what was said last. */
  readonly stallSeconds: number;
  /** Of a connection that has not come to speak TLS. */
  readonly onHandshakeFailed: () => void;
  readonly limits?: HandshakeLimits;
}

interface HandshakeLimits {
  readonly handshakeMs: number;
  /** On their way at once. With one more, the oldest of them has been waited for long enough. */
  readonly most: number;
}

export interface CertificateFront extends Front {
  readonly port: number;
}

const usual: HandshakeLimits = { handshakeMs: 10_000, most: 1024 };
const pollMs = 20;
/** As the extension of TLS has it, RFC 7301. */
const onlyHttp1 = Buffer.from("\x08http/1.1");

/** One end of what is passed on. */
interface End {
  /** Absent while it is not there yet. */
  socket?: Socket<Passage>;
  /** What it has not taken so far. */
  waiting?: Buffer | undefined;
  /** Nothing comes behind that. */
  isOver: boolean;
  /** Tells it so. */
  readonly leave: (socket: Socket<Passage>) => void;
}

/** From a client to the server behind. */
interface Passage {
  readonly client: End;
  readonly behind: End;
  /** Of the connection to the server, by which it asks who that is. */
  port: number;
  timer?: NodeJS.Timeout;
}

/**
 * Speaks TLS in a server's place, and asks each client for a certificate: of connections of its own, the server is not told
 * whose they are. What is in them goes on untouched. Whose certificates are good is for others to say; that whoever shows
 * one has its key, the handshake has made sure of. It belongs to the connection, and nothing that is sent there changes it.
 */
export function openCertificateFront(options: CertificateFrontOptions): CertificateFront {
  const { behindPort, stallSeconds, onHandshakeFailed, limits: { handshakeMs, most } = usual } = options;
  const peers = new Map<number, Peer>();
  const passages = new Set<Passage>();
  const handshakes = new Set<Passage>();
  const shaken = (passage: Passage): void => {
    clearTimeout(passage.timer);
    handshakes.delete(passage);
  };
  const behind: SocketHandler<Passage> = {
    data: (socket, bytes) => pass(bytes, socket, socket.data.client),
    drain: ({ data }) => drain(data.behind, data.client),
    end: (socket) => void socket.end(),
    close({ data: { client, port } }) {
      // In the same breath as the descriptor: from now on the number may be anyone's.
      peers.delete(port);
      client.socket?.timeout(stallSeconds);
      finish(client);
    },
  };
  const lead = async (passage: Passage, peer: Peer): Promise<void> => {
    const opened = (socket: Socket<Passage>): void => {
      passage.port = socket.localPort;
      // Before it has anything to answer.
      peers.set(passage.port, peer);
      passage.behind.socket = socket;
      drain(passage.behind, passage.client);
    };
    await dialLoopback(behindPort, { ...behind, open: opened }, passage).catch(() =>
      passage.client.socket?.terminate(),
    );
  };
  const listener = listenForClients(options, {
    open(socket) {
      const passage = (socket.data = newPassage(socket));
      const [oldest] = handshakes.size < most ? [] : handshakes;
      oldest?.client.socket?.terminate();
      passage.timer = setTimeout(() => socket.terminate(), handshakeMs);
      handshakes.add(passage);
      passages.add(passage);
    },
    handshake(socket, isDone) {
      const { data: passage, remoteAddress: address, remotePort: port } = socket;
      if (!isDone) return void socket.terminate();
      shaken(passage);
      socket.setNoDelay(true);
      socket.pause();
      void lead(passage, { address, port, certificate: certificateOf(socket) });
    },
    data: (socket, bytes) => pass(bytes, socket, socket.data.behind),
    drain: ({ data }) => drain(data.client, data.behind),
    timeout: (socket) => socket.terminate(),
    close({ data: passage }) {
      if (handshakes.has(passage)) onHandshakeFailed();
      shaken(passage);
      passages.delete(passage);
      passage.client.waiting = undefined;
      passage.client.isOver = true;
      // The server ends it, once it has read all that was said: its number is no other connection's before.
      passage.behind.socket?.resume();
      finish(passage.behind);
    },
  });
  return {
    port: listener.port,
    peerBehind: (port) => peers.get(port),
    async close() {
      listener.stop(false);
      for (const until = performance.now() + handshakeMs; handshakes.size > 0 && performance.now() < until;)
        await Bun.sleep(pollMs);
    },
    destroy() {
      for (const { client } of passages) client.socket?.terminate();
    },
  };
}

const listenForClients = (
  { hostname, port, sharesPort, certificate: { certPem, keyPem } }: CertificateFrontOptions,
  socket: SocketHandler<Passage>,
): TCPSocketListener<Passage> =>
  Bun.listen<Passage>({
    hostname,
    port,
    exclusive: !sharesPort,
    socket,
    ...{ reusePort: sharesPort },
    tls: {
      cert: certPem,
      key: keyPem,
      requestCert: true,
      // It is judged request by request, also while the connection lasts.
      rejectUnauthorized: false,
      ALPNProtocols: onlyHttp1,
    },
  });

const newPassage = (socket: Socket<Passage>): Passage => ({
  client: { socket, isOver: false, leave: (client) => client.end() },
  behind: { isOver: false, leave: (behind) => behind.shutdown() },
  port: 0,
});

/** The declaration leaves out that there may be none. */
function certificateOf(socket: Socket<Passage>): Uint8Array | undefined {
  const shown: { readonly raw: Uint8Array } | undefined = socket.getPeerX509Certificate();
  return shown && new Uint8Array(shown.raw);
}

/** Who says more than the other takes is not listened to until it has. */
function pass(bytes: Buffer, from: Socket<Passage>, to: End): void {
  if (to.isOver) return;
  const rest = to.waiting === undefined ? untaken(bytes, to.socket) : bytes;
  if (rest === undefined) return;
  to.waiting = to.waiting === undefined ? rest : Buffer.concat([to.waiting, rest]);
  from.pause();
}

function drain(to: End, from: End): void {
  to.waiting = to.waiting && untaken(to.waiting, to.socket);
  if (to.waiting !== undefined) return;
  if (to.isOver && to.socket !== undefined) to.leave(to.socket);
  else from.socket?.resume();
}

function untaken(bytes: Buffer, socket: Socket<Passage> | undefined): Buffer | undefined {
  const taken = Math.max(0, socket?.write(bytes) ?? 0);
  return taken === bytes.length ? undefined : bytes.subarray(taken);
}

function finish(end: End): void {
  if (end.isOver) return;
  end.isOver = true;
  if (end.waiting === undefined && end.socket !== undefined) end.leave(end.socket);
}
