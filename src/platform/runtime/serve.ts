import type { Server } from "bun";
import { type ChallengeCertificate, openAlpnFront } from "./alpn-front.ts";
import { openCertificateFront } from "./certificate-front.ts";
import { type Door, type Doors, openDoors } from "./doors.ts";
import { frontBefore, type Peer } from "./front.ts";
import { quietTurn } from "./quiet-turn.ts";
import { routesByDepth } from "./routes-by-depth.ts";
import type { Certificate } from "../certificates/certificate.ts";
import { type ListeningSocket, nowhere, refuseNewcomers, shareSocket } from "./listening-socket.ts";
import { watchBodies, type WatchedBody } from "./body-watch.ts";
import { type DownloadWatch, watchDownloads } from "./download-watch.ts";
import type { Handle, Incoming, Reply } from "./http.ts";
import { toIncoming } from "./incoming.ts";
import { openKernelSockets } from "./kernel-sockets.ts";
import type { Patience } from "./patience.ts";
import { failureResponse, toResponse } from "./respond.ts";

export interface Listening {
  readonly url: string;
  /** Whether a slow reader is told from one that reads nothing; else Bun's clock ends both, after `idleSeconds`. */
  readonly watchesDownloads: boolean;
  /** Requests that have no whole answer yet. */
  pending(): number;
  /**
   * Resolves when every new connection is met with this certificate; those that stand end by and by.
   * @throws Error where the server cannot use it, and goes on with the one that it has
   */
  renew(certificate: Certificate): Promise<void>;
  /**
   * Meets validations of RFC 8737 on the same port, one order's at a time; all else goes on as it does. Resolves when no
   * connection can come past it. @returns a function that ends it
   */
  answerTlsAlpn(challenges: readonly ChallengeCertificate[]): Promise<() => Promise<void>>;
  /** From now on every answer ends its connection, so that clients come with their next request to where they should. */
  sendAway(): void;
  /**
   * Takes no new connection and resolves when the running requests have been answered. Those that take longer than
   * `drainMs` lose their connection, which their handlers hear of and which they save their work at.
   * @returns how many lost it
   */
  stop(drainMs: number): Promise<number>;
}

export interface ListenOptions {
  readonly hostname: string;
  /** 0: any free port. */
  readonly port: number;
  /** With it, HTTP/1.1 and HTTP/2 over TLS; without it, plain HTTP/1.1. */
  readonly certificate?: Certificate;
  /** With it, each client is asked for a certificate of its own, and speaks HTTP/1.1. */
  readonly clientCertificates?: ClientCertificates;
  /** What is answered where a file cannot be opened any more when it is to be sent, or where our own code throws. */
  readonly onFailure?: (error: unknown) => Reply;
  /** The port's, which several processes share; without it the port is this process's alone. */
  readonly socket?: ListeningSocket;
  readonly patience: Patience;
  /** A download was ended because its reader took nothing. */
  readonly onDownloadCut?: (remoteAddress: string) => void;
}

export interface ClientCertificates {
  /** Of a connection that has not come to speak TLS. */
  readonly onHandshakeFailed: () => void;
}

/** How long handlers may take to end once their connections are gone; then the process ends without them. */
const abandonMs = 5000;
/** How long what a handler left of a body unread is taken and dropped, so that the client comes to read its answer. */
const mostLingerSeconds = 30;
/** Limits are the registry's to set, endpoint by endpoint: this one is above all of them. */
const largestBodyBytes = 2 ** 50;

/** Serves HTTP; `handle` answers every request. @throws Error EADDRINUSE when someone listens there already */
export function serve(options: ListenOptions, handle: Handle): Listening {
  const { hostname, socket, patience, clientCertificates, onFailure } = options;
  let { certificate } = options;
  const state = newState(options, handle);
  let first = listen(options, state);
  const port = socket?.port ?? first.port;
  if (certificate !== undefined && socket === undefined) {
    // Two servers share a port while one certificate takes over from another, which the first must have allowed from
    // its beginning. So the port is asked for alone, and at once taken again.
    void first.front?.close();
    void first.server.stop(true);
    first = listen({ ...options, port, sharesPort: true }, state);
  }
  const doors = openDoors(first, port, patience.idleSeconds * 1000);
  state.doors = doors;
  const atPort = (): Door => listen({ ...options, port, ...(certificate && { certificate }), sharesPort: true }, state);
  const host = hostname.includes(":") ? `[${hostname}]` : hostname;
  return {
    url: `${state.scheme}://${host}:${port}`,
    watchesDownloads: state.downloads !== undefined,
    pending: () => pendingOf(state),
    renew: (renewed) =>
      doors.takeOver(() => {
        const door = listen({ ...options, port, certificate: renewed, sharesPort: true }, state);
        certificate = renewed;
        return door;
      }),
    async answerTlsAlpn(challenges) {
      await doors.takeOver(async () => {
        const asks = { ...(clientCertificates && { clientCertificates }), ...(onFailure && { onFailure }) };
        const behind = listen({ ...nowhere, ...(certificate && { certificate }), ...asks }, state);
        try {
          const front = await openAlpnFront({ hostname, port, behindPort: behind.port, challenges });
          return { ...behind, port, front: behind.front === undefined ? front : frontBefore(front, behind.front) };
        } catch (error) {
          void behind.front?.close();
          void behind.server.stop(true);
          throw error;
        }
      });
      return () => doors.takeOver(atPort);
    },
    sendAway: () => doors.sendAllAway(),
    async stop(drainMs) {
      const deadline = performance.now() + drainMs;
      doors.sendAllAway();
      if (socket === undefined) refuseNewcomers(port);
      for (const { place } of doors.all()) place?.leave();
      await untilQuiet(state);
      return stop(state, doors, deadline - performance.now());
    },
  };
}

const pendingOf = ({ running, doors }: ServerState): number =>
  Math.max(running, doors?.all().reduce((sum, { server }) => sum + server.pendingRequests, 0) ?? 0);

async function stop(state: ServerState, doors: Doors, drainMs: number): Promise<number> {
  for (const { server, front } of doors.all()) {
    void front?.close();
    void server.stop(false);
  }
  // Time for what has come and has not been read.
  await Bun.sleep(pollMs);
  await until(() => pendingOf(state) === 0, drainMs);
  const cutOff = pendingOf(state);
  // A connection without a request, or with half of one, would hold the server for ever.
  for (const { server, front } of doors.all()) {
    front?.destroy();
    void server.stop(true);
  }
  await until(() => state.running === 0, abandonMs);
  return cutOff;
}

/** What all servers of one port have in common. */
interface ServerState {
  readonly handle: Handle;
  readonly scheme: "http" | "https";
  readonly patience: Patience;
  readonly watchBody: (stream: ReadableStream<Uint8Array>) => WatchedBody;
  readonly downloads: DownloadWatch | undefined;
  /** The server is one behind, and nobody's who comes by another way. */
  readonly isBehind: boolean;
  running: number;
  /** When the latest request came (`performance.now`). */
  latestAt: number;
  /** There as soon as the first server is. */
  doors: Doors | undefined;
}

function newState(options: ListenOptions, handle: Handle): ServerState {
  const { certificate, clientCertificates, patience, onDownloadCut = () => undefined } = options;
  const sockets = openKernelSockets();
  return {
    handle,
    scheme: certificate === undefined ? "http" : "https",
    isBehind: certificate !== undefined && clientCertificates !== undefined,
    patience,
    watchBody: watchBodies(patience),
    downloads: sockets && watchDownloads({ patience, sockets, onCut: onDownloadCut }),
    running: 0,
    latestAt: 0,
    doors: undefined,
  };
}

type ListenAt = Omit<ListenOptions, "patience"> & { readonly sharesPort?: boolean };

/** @throws Error EADDRINUSE */
function listen(options: ListenAt, state: ServerState): Door {
  const { socket, certificate, clientCertificates, sharesPort = false } = options;
  const { hostname, port } = socket === undefined ? options : nowhere;
  const place = { hostname, port, sharesPort: sharesPort && socket === undefined };
  const taken = (door: Door): Door =>
    socket === undefined ? door : { ...door, place: shareSocket(socket.descriptor, door.port) };
  if (certificate === undefined || clientCertificates === undefined) {
    const server = openServer({ ...options, ...place }, state);
    return taken({ server, port: server.port ?? port });
  }
  const { onFailure } = options;
  const server = openServer({ ...nowhere, sharesPort: false, ...(onFailure && { onFailure }) }, state);
  try {
    const behindPort = server.port ?? 0;
    const { stallSeconds } = state.patience;
    const front = openCertificateFront({ ...place, certificate, behindPort, stallSeconds, ...clientCertificates });
    return taken({ server, port: front.port, front });
  } catch (error) {
    void server.stop(true);
    throw error;
  }
}

function openServer({ hostname, port, certificate, onFailure, sharesPort }: ListenAt, state: ServerState) {
  return Bun.serve({
    hostname,
    port,
    development: false,
    // Without `development` Bun shares the port, and a second server would take every other connection of the first.
    reusePort: sharesPort === true,
    // Counts from the last answer, whatever comes: headers that drip are over with it too.
    idleTimeout: state.patience.idleSeconds,
    maxRequestBodySize: largestBodyBytes,
    ...(certificate && { http2: true, tls: { cert: certificate.certPem, key: certificate.keyPem } }),
    routes: routesByDepth(
      (segments) => (request: Request, bun: Server<undefined>) => answer(request, bun, { state, segments }),
    ),
    fetch: (request, bun) => answer(request, bun, { state, segments: undefined }),
    error: (error) =>
      onFailure === undefined ? new Response(null, { status: 500 }) : failureResponse(onFailure(error)),
  });
}

const pollMs = 20;

async function until(isSo: () => boolean, limitMs: number): Promise<void> {
  for (const deadline = performance.now() + limitMs; !isSo() && performance.now() < deadline;) await Bun.sleep(pollMs);
}

/** A client that asks without a pause is told within this time, by its next answer, that its connection ends. */
const farewellMs = 250;
const longestFarewellMs = 1500;

/**
 * Resolves when no request has come for a while. To stop closes the connections that wait for their next request, and
 * one may be on its way; whoever has just asked would ask again at once.
 */
async function untilQuiet(state: ServerState): Promise<void> {
  const from = performance.now();
  await until(() => performance.now() - Math.max(from, state.latestAt) >= farewellMs, longestFarewellMs);
  await quietTurn();
}

interface Matched {
  readonly state: ServerState;
  /** Of the path as it was sent; `undefined` for one that no route matches. */
  readonly segments: number | undefined;
}

/** What need not wait for anything is answered in the same turn: a promise takes 1.5 µs of a request's 30. */
function answer(
  request: Request,
  server: Server<undefined>,
  { state, segments }: Matched,
): Response | Promise<Response> {
  state.latestAt = performance.now();
  const peer = peerOf(request, server, state);
  if (peer === undefined) return new Response(null, { status: 403, headers: { connection: "close" } });
  const body = request.body === null ? undefined : state.watchBody(request.body);
  const incoming = toIncoming(request, { scheme: state.scheme, segments, body, peer });
  const asked: Asked = { request, server, state, incoming, body };
  // Bun's clock knows only bodies that come fast, and takes a handler that works for one that hangs.
  if (body !== undefined || !readingMethods.has(incoming.method)) return answerInTime(asked);
  const reply = state.handle(incoming);
  return reply instanceof Promise ? whileRunning(state, () => send(asked, reply)) : respond(asked, reply);
}

interface Asked {
  readonly request: Request;
  readonly server: Server<undefined>;
  readonly state: ServerState;
  readonly incoming: Incoming;
  readonly body: WatchedBody | undefined;
}

async function whileRunning<T>(state: ServerState, run: () => Promise<T>): Promise<T> {
  state.running++;
  try {
    return await run();
  } finally {
    state.running--;
  }
}

const send = async (asked: Asked, reply: Promise<Reply> | Reply): Promise<Response> => respond(asked, await reply);

/** Without Bun's clock while it is read and handled. */
const answerInTime = (asked: Asked): Promise<Response> =>
  whileRunning(asked.state, async () => {
    const { request, server, state, incoming, body } = asked;
    const { patience } = state;
    server.timeout(request, 0);
    const reply = await state.handle(incoming);
    if (body?.isWhole() === false && isSmall(incoming)) await body.drop(smallBodyMs);
    const response = await respond(asked, reply);
    // What is left of the body Bun takes off the connection by itself: the client gets its early answer.
    const lingerSeconds = Math.min(mostLingerSeconds, patience.stallSeconds);
    server.timeout(request, body?.isWhole() === false ? lingerSeconds : patience.idleSeconds);
    return response;
  });

/**
 * Behind an answer to a request whose body was not read, Bun resets the stream (RFC 9113, 8.1), and with it curl 7.88 drops
 * one answer in five. A small body is here soon; a client that waits to be asked for it is not kept waiting.
 */
const isSmall = ({ bodyBytes = Infinity, headers }: Incoming): boolean =>
  bodyBytes <= smallBodyBytes && !headers.has("expect");
const [smallBodyBytes, smallBodyMs] = [64 * 1024, 1000];

function respond({ request, server, state, incoming }: Asked, reply: Reply): Response | Promise<Response> {
  const closes = state.doors?.isLeaving(server) === true;
  const response = toResponse(request, reply, { requestId: incoming.requestId, closes });
  if (response instanceof Promise) return response.then((made) => watched(made));
  return watched(response);

  function watched(made: Response): Response {
    if (mayTakeLong(request, reply, made)) state.downloads?.add(request, server, incoming.remoteAddress);
    return made;
  }
}

/** Less fits into what the kernel takes at once, however slow its reader. */
const leastWatchedBytes = 64 * 1024;

/** A response is asked for its headers only where nothing else tells: that takes 2.4 µs. */
function mayTakeLong({ method }: Request, reply: Reply, made: Response): boolean {
  if (reply.kind === "empty" || method === "HEAD") return false;
  if (reply.kind === "bytes") return reply.body.byteLength >= leastWatchedBytes;
  const length = reply.headers["content-length"] ?? made.headers.get("content-length") ?? Infinity;
  return Number(length) >= leastWatchedBytes;
}

const readingMethods: ReadonlySet<string> = new Set(["GET", "HEAD"]);

const nobody: Peer = { address: "", port: 0 };

/** `undefined` for who has come to a server behind by another way than through what stands before it. */
function peerOf(request: Request, server: Server<undefined>, { doors, isBehind }: ServerState): Peer | undefined {
  const from = server.requestIP(request);
  const behind = from && doors?.frontOf(server)?.peerBehind(from.port);
  return behind ?? (isBehind ? undefined : (from ?? nobody));
}
