import type { Socket, SocketHandler, TCPSocketListener } from "bun";
import type { Certificate } from "../certificates/certificate.ts";
import { boundReceiving } from "./bound-receiving.ts";
import { dialLoopback } from "../net/loopback.ts";
import type { Front, Peer } from "./front.ts";
import { drain, finish, newPassage, pass, type Passage } from "./passage.ts";

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
/** Of an answer whose client reads nothing, beside what has been read of it already. */
const mostUnreadBytes = 128 * 1024;
/** As the extension of TLS has it, RFC 7301. */
const onlyHttp1 = Buffer.from("\x08http/1.1");

/**
 * Speaks TLS in a server's place, and asks each client for a certificate: of connections of its own, the server is not told
 * whose they are. What is in them goes on untouched. Whose certificates are good is for others to say; that whoever shows
 * one has its key, the handshake has made sure of. It belongs to the connection, and nothing that is sent there changes it.
 */
export function openCertificateFront(options: CertificateFrontOptions): CertificateFront {
  const peers = new Map<number, Peer>();
  const passages = new Set<Passage>();
  const handshakes = watchHandshakes(options.limits ?? usual, options.onHandshakeFailed);
  const lead = leader(options, peers);
  const listener = listenForClients(options, {
    open(socket) {
      socket.data = newPassage(socket);
      handshakes.begin(socket.data);
      passages.add(socket.data);
    },
    handshake(socket, isDone) {
      const { data: passage, remoteAddress: address, remotePort: port } = socket;
      if (!isDone) {
        socket.terminate();
        return;
      }
      handshakes.done(passage);
      socket.setNoDelay(true);
      socket.pause();
      void lead(passage, { address, port, certificate: certificateOf(socket) });
    },
    data: (socket, bytes) => pass(bytes, socket, socket.data.behind),
    drain: ({ data }) => drain(data.client, data.behind),
    timeout: (socket) => socket.terminate(),
    close({ data: { client, behind }, data: passage }) {
      handshakes.fail(passage);
      passages.delete(passage);
      client.waiting = undefined;
      client.isOver = true;
      // The server ends it, once it has read all that was said: its number is no other connection's before.
      behind.socket?.resume();
      finish(behind);
    },
  });
  return {
    port: listener.port,
    peerBehind: (port) => peers.get(port),
    close() {
      listener.stop(false);
      return handshakes.over();
    },
    destroy() {
      for (const { client } of passages) client.socket?.terminate();
    },
  };
}

/** Leads a client to the server, which asks by the port of that connection whose it is. */
function leader({ behindPort, stallSeconds }: CertificateFrontOptions, peers: Map<number, Peer>) {
  const handlers: SocketHandler<Passage> = {
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
  return async (passage: Passage, peer: Peer): Promise<void> => {
    const open = (socket: Socket<Passage>): void => {
      boundReceiving(socket, mostUnreadBytes);
      passage.port = socket.localPort;
      // Before it has anything to answer.
      peers.set(passage.port, peer);
      passage.behind.socket = socket;
      drain(passage.behind, passage.client);
    };
    await dialLoopback(behindPort, { ...handlers, open }, passage).catch(() => passage.client.socket?.terminate());
  };
}

function watchHandshakes({ handshakeMs, most }: HandshakeLimits, onFailed: () => void) {
  const running = new Map<Passage, NodeJS.Timeout>();
  const done = (passage: Passage): boolean => {
    clearTimeout(running.get(passage));
    return running.delete(passage);
  };
  return {
    begin(passage: Passage): void {
      const [oldest] = running.size < most ? [] : running.keys();
      oldest?.client.socket?.terminate();
      running.set(
        passage,
        setTimeout(() => passage.client.socket?.terminate(), handshakeMs),
      );
    },
    done,
    /** Where it was not done. */
    fail(passage: Passage): void {
      if (done(passage)) onFailed();
    },
    async over(): Promise<void> {
      for (const until = performance.now() + handshakeMs; running.size > 0 && performance.now() < until;)
        await Bun.sleep(pollMs);
    },
  };
}

function listenForClients(
  { hostname, port, sharesPort, certificate: { certPem, keyPem } }: CertificateFrontOptions,
  socket: SocketHandler<Passage>,
): TCPSocketListener<Passage> {
  // The declaration does not know the last of them.
  const place = { hostname, port, exclusive: !sharesPort, reusePort: sharesPort };
  return Bun.listen<Passage>({
    ...place,
    socket,
    tls: {
      cert: certPem,
      key: keyPem,
      requestCert: true,
      // It is judged request by request, also while the connection lasts.
      rejectUnauthorized: false,
      ALPNProtocols: onlyHttp1,
    },
  });
}

/** The declaration leaves out that there may be none. */
function certificateOf(socket: Socket<Passage>): Uint8Array | undefined {
  const shown: { readonly raw: Uint8Array } | undefined = socket.getPeerX509Certificate();
  return shown && new Uint8Array(shown.raw);
}
