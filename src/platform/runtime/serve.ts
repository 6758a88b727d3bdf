import type { Server } from "bun";
import { chunksOf } from "../blobs/blob-body.ts";
import { type AlpnFront, type ChallengeCertificate, openAlpnFront } from "./alpn-front.ts";
import { quietTurn } from "./quiet-turn.ts";
import { countSegments, routesByDepth } from "./routes-by-depth.ts";
import type { Certificate } from "../certificates/certificate.ts";
import { ClientGoneError, type Handle, type Incoming, type Reply, type ReplyHeaders } from "./http.ts";

export interface Listening {
  readonly url: string;
  /** Requests that have no whole answer yet. */
  pending(): number;
  /** New connections are met with this certificate within some seconds; those that stand end by and by. */
  renew(certificate: Certificate): void;
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
}

/** How long handlers may take to end once their connections are gone; then the process ends without them. */
const abandonMs = 5000;
/** A connection on which nothing moves for this long is closed; 255 is the most that Bun takes. */
const idleSeconds = 120;
/** Limits are the registry's to set, endpoint by endpoint: this one is above all of them. */
const largestBodyBytes = 2 ** 50;

/** Serves HTTP; `handle` answers every request. @throws Error EADDRINUSE when someone listens there already */
export function serve(options: ListenOptions, handle: Handle): Listening {
  const { hostname } = options;
  let { certificate } = options;
  const scheme = certificate === undefined ? "http" : "https";
  const state: ServerState = { handle, scheme, running: 0, leaving: new Set(), fronts: new Map() };
  let current: Door = { server: listen(options, state) };
  const port = current.server.port ?? options.port;
  if (certificate !== undefined) {
    // Two servers share a port while one certificate takes over from another, which the first must have allowed from
    // its beginning. So the port is asked for alone, and at once taken again.
    void current.server.stop(true);
    current = { server: listen({ ...options, port, sharesPort: true }, state) };
  }
  const doors = new Set([current]);
  const pending = (): number =>
    Math.max(
      state.running,
      [...doors].reduce((sum, { server }) => sum + server.pendingRequests, 0),
    );
  /** @returns when nobody comes in by the old one any more */
  const takeOver = (next: Door): Promise<void> => {
    const old = current;
    current = next;
    doors.add(next);
    const { closed, ended } = retire(old, state);
    void ended.then(() => doors.delete(old));
    return closed;
  };
  const host = hostname.includes(":") ? `[${hostname}]` : hostname;
  return {
    url: `${scheme}://${host}:${port}`,
    pending,
    renew(renewed) {
      const before = certificate;
      certificate = renewed;
      // While an authority looks, what takes over behind has the new one.
      if (current.front !== undefined) return;
      try {
        void takeOver({ server: listen({ hostname, port, certificate, sharesPort: true }, state) });
      } catch (error) {
        certificate = before;
        throw error;
      }
    },
    async answerTlsAlpn(challenges) {
      const behind = { hostname: "127.0.0.1", port: 0, ...(certificate && { certificate }) };
      const server = listen(behind, state);
      const front = await openAlpnFront({ hostname, port, behindPort: server.port ?? 0, challenges });
      state.fronts.set(server, front);
      await takeOver({ server, front });
      return () =>
        takeOver({ server: listen({ hostname, port, ...(certificate && { certificate }), sharesPort: true }, state) });
    },
    sendAway() {
      for (const { server } of doors) state.leaving.add(server);
    },
    async stop(drainMs) {
      this.sendAway();
      for (const { server, front } of doors) {
        void front?.close();
        void server.stop(false);
      }
      // Time for what has come and has not been read.
      await Bun.sleep(pollMs);
      await until(() => pending() === 0, drainMs);
      const cutOff = pending();
      // A connection without a request, or with half of one, would hold the server for ever.
      for (const { server, front } of doors) {
        front?.destroy();
        void server.stop(true);
      }
      await until(() => state.running === 0, abandonMs);
      return cutOff;
    },
  };
}

/** A server, with what stands before it while an authority looks. */
interface Door {
  readonly server: Server<undefined>;
  readonly front?: AlpnFront;
}

/** What all servers of one port have in common. */
interface ServerState {
  readonly handle: Handle;
  readonly scheme: "http" | "https";
  running: number;
  /** Those whose answers end their connections. */
  readonly leaving: Set<Server<undefined>>;
  /** Of those that have something before them: it knows who their clients are. */
  readonly fronts: Map<Server<undefined>, AlpnFront>;
}

function listen(
  { hostname, port, certificate, sharesPort = false }: ListenOptions & { readonly sharesPort?: boolean },
  state: ServerState,
): Server<undefined> {
  return Bun.serve({
    hostname,
    port,
    development: false,
    // Without `development` Bun shares the port, and a second server would take every other connection of the first.
    reusePort: sharesPort,
    idleTimeout: idleSeconds,
    maxRequestBodySize: largestBodyBytes,
    ...(certificate && { http2: true, tls: { cert: certificate.certPem, key: certificate.keyPem } }),
    routes: routesByDepth(
      (segments) => (request: Request, bun: Server<undefined>) => answer(request, bun, { state, segments }),
    ),
    fetch: (request, bun) => answer(request, bun, { state, segments: undefined }),
    error: () => new Response(null, { status: 500 }),
  });
}

const pollMs = 20;

async function until(isSo: () => boolean, limitMs: number): Promise<void> {
  for (const deadline = performance.now() + limitMs; !isSo() && performance.now() < deadline;) await Bun.sleep(pollMs);
}

/** How long a server whose certificate is renewed goes on beside the new one. */
const handOverMs = 2000;

/**
 * Ends a server that another has taken over from, so that no client notices. To stop closes the connections that wait
 * for their next request, and one may be on its way: so first each is told with an answer that it ends.
 */
function retire(
  { server, front }: Door,
  { leaving, fronts }: ServerState,
): { readonly closed: Promise<void>; readonly ended: Promise<void> } {
  const close = async (): Promise<void> => {
    leaving.add(server);
    await Bun.sleep(handOverMs);
    await quietTurn();
    const passedOn = front?.close();
    if (front === undefined) void server.stop(false);
    else void passedOn?.then(() => server.stop(false));
  };
  const end = async (): Promise<void> => {
    await closed;
    // Who is in a handshake then, or in a request, has the time to end it.
    do await Bun.sleep(idleSeconds * 1000);
    while (server.pendingRequests > 0);
    front?.destroy();
    await server.stop(true);
    leaving.delete(server);
    fronts.delete(server);
  };
  const closed = close();
  return { closed, ended: end() };
}

interface Matched {
  readonly state: ServerState;
  /** Of the path as it was sent; `undefined` for one deeper than any path of ours. */
  readonly segments: number | undefined;
}

async function answer(request: Request, server: Server<undefined>, { state, segments }: Matched): Promise<Response> {
  state.running++;
  try {
    // What a handler leaves of the body unread Bun takes off the connection by itself: the client gets its early answer.
    const reply = await state.handle(toIncoming(request, server, { state, segments }));
    const headers = toHeaders(reply.headers);
    if (state.leaving.has(server)) headers.set("connection", "close");
    return await toResponse(request, reply, headers);
  } finally {
    state.running--;
  }
}

function toIncoming(request: Request, server: Server<undefined>, { state, segments }: Matched): Incoming {
  const { scheme, fronts } = state;
  const { path, query } = splitUrl(request.url);
  const headers = new Map(request.headers);
  const length = headers.get("content-length");
  const streams = headers.has("transfer-encoding") || (length === undefined && request.body !== null);
  return {
    method: request.method,
    path,
    hasDotSegments: segments !== countSegments(path),
    query: new URLSearchParams(query),
    headers,
    body: request.body === null ? noBody() : bodyOf(request.body),
    bodyBytes: streams ? undefined : toBytes(length ?? "0"),
    scheme,
    remoteAddress: remoteAddressOf(request, server, fronts),
    requestId: crypto.randomUUID(),
  };
}

function remoteAddressOf(request: Request, server: Server<undefined>, fronts: ServerState["fronts"]): string {
  const peer = server.requestIP(request);
  if (peer === null) return "";
  const front = fronts.size === 0 ? undefined : fronts.get(server);
  return front?.addressBehind(peer.port) ?? peer.address;
}

/** Without `new URL`, which would decode and throws where an Upgrade header came without a Host. */
function splitUrl(url: string): { readonly path: string; readonly query: string } {
  const authority = url.indexOf("://");
  const start = authority === -1 ? 0 : url.indexOf("/", authority + 3);
  const target = start === -1 ? "/" : url.slice(start);
  const mark = target.indexOf("?");
  return mark === -1 ? { path: target, query: "" } : { path: target.slice(0, mark), query: target.slice(mark + 1) };
}

/** The same length given twice is one length (RFC 9110, 8.6), which Bun hands on as `3, 3`; it refuses all else. */
const toBytes = (contentLength: string): number => Number.parseInt(contentLength, 10);

async function* noBody(): AsyncGenerator<Uint8Array> {}

async function* bodyOf(stream: ReadableStream<Uint8Array>): AsyncGenerator<Uint8Array> {
  try {
    yield* stream;
  } catch (error) {
    throw new ClientGoneError("the client went away before its body had ended", { cause: error });
  }
}

function toHeaders(headers: ReplyHeaders): Headers {
  const result = new Headers();
  for (const [name, value] of Object.entries(headers)) {
    if (typeof value === "object") for (const one of value) result.append(name, one);
    else result.set(name, String(value));
  }
  return result;
}

function toResponse(request: Request, reply: Reply, headers: Headers): Response | Promise<Response> {
  const { status } = reply;
  const isHead = request.method === "HEAD";
  switch (reply.kind) {
    case "empty":
      return new Response(null, { status, headers });
    case "json": {
      const body = JSON.stringify(reply.body);
      headers.set("content-length", String(Buffer.byteLength(body)));
      if (!headers.has("content-type")) headers.set("content-type", "application/json");
      return new Response(isHead ? null : body, { status, headers });
    }
    case "bytes":
      headers.set("content-length", String(reply.body.byteLength));
      return new Response(isHead ? null : new Uint8Array(reply.body), { status, headers });
    case "blob":
      return isHead ? new Response(null, { status, headers }) : blobResponse(request, reply, headers);
    default:
      return reply satisfies never;
  }
}

/** Streams leave without their length; what is small enough to be gathered keeps it. */
const mostGatheredBytes = 1024 * 1024;
const byteRange = /^\s*bytes\s*=/i;

/** A file leaves by sendfile, whole or as one slice; everything else is streamed. */
async function blobResponse(
  request: Request,
  { status, body }: Reply & { readonly kind: "blob" },
  headers: Headers,
): Promise<Response> {
  if (body.kind === "file") {
    const file = Bun.file(body.path);
    if (body.range !== undefined) {
      return new Response(file.slice(body.range.start, body.range.end + 1), { status, headers });
    }
    // Bun would answer a Range header itself, also where we mean to send the whole body.
    if (!byteRange.test(request.headers.get("range") ?? "")) return new Response(file, { status, headers });
  }
  const length = headers.get("content-length");
  if (length !== null && Number(length) <= mostGatheredBytes) {
    return new Response(Buffer.concat(await Array.fromAsync(chunksOf(body))), { status, headers });
  }
  return new Response(toStream(chunksOf(body)), { status, headers });
}

/** Reads on only as fast as the client takes, and lets go of the source when the client goes away. */
function toStream(source: AsyncIterable<Uint8Array>): ReadableStream<Uint8Array> {
  const chunks = source[Symbol.asyncIterator]();
  return new ReadableStream({
    async pull(controller) {
      const next = await chunks.next();
      if (next.done === true) controller.close();
      else controller.enqueue(new Uint8Array(next.value));
    },
    async cancel() {
      await chunks.return?.();
    },
  });
}
