import type { Server } from "bun";
import { chunksOf } from "../blobs/blob-body.ts";
import { countSegments, routesByDepth } from "./routes-by-depth.ts";
import type { Certificate } from "../certificates/certificate.ts";
import { ClientGoneError, type Handle, type Incoming, type Reply, type ReplyHeaders } from "./http.ts";

export interface Listening {
  readonly url: string;
  /** Requests that have no whole answer yet. */
  pending(): number;
  /** New connections are met with this certificate within some seconds; those that stand end by and by. */
  renew(certificate: Certificate): void;
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
  /** What is answered where a file cannot be opened any more when it is to be sent, or where our own code throws. */
  readonly onFailure: (error: unknown) => Reply;
}

/** How long handlers may take to end once their connections are gone; then the process ends without them. */
const abandonMs = 5000;
/** A connection on which nothing moves for this long is closed; 255 is the most that Bun takes. */
const idleSeconds = 120;
/** Limits are the registry's to set, endpoint by endpoint: this one is above all of them. */
const largestBodyBytes = 2 ** 50;

/** Serves HTTP; `handle` answers every request. @throws Error EADDRINUSE when someone listens there already */
export function serve(options: ListenOptions, handle: Handle): Listening {
  const { hostname, certificate, onFailure } = options;
  const scheme = certificate === undefined ? "http" : "https";
  const state: ServerState = { handle, scheme, running: 0, leaving: new Set() };
  let current = listen(options, state);
  const port = current.port ?? options.port;
  if (certificate !== undefined) {
    // Two servers share a port while one certificate takes over from another, which the first must have allowed from
    // its beginning. So the port is asked for alone, and at once taken again.
    void current.stop(true);
    current = listen({ ...options, port, sharesPort: true }, state);
  }
  const servers = new Set([current]);
  const pending = (): number =>
    Math.max(
      state.running,
      [...servers].reduce((sum, server) => sum + server.pendingRequests, 0),
    );
  const host = hostname.includes(":") ? `[${hostname}]` : hostname;
  return {
    url: `${scheme}://${host}:${port}`,
    pending,
    renew(renewed) {
      const old = current;
      current = listen({ hostname, port, onFailure, certificate: renewed, sharesPort: true }, state);
      servers.add(current);
      void retire(old, state).then(() => servers.delete(old));
    },
    sendAway() {
      for (const server of servers) state.leaving.add(server);
    },
    async stop(drainMs) {
      this.sendAway();
      for (const server of servers) void server.stop(false);
      // Time for what has come and has not been read.
      await Bun.sleep(pollMs);
      await until(() => pending() === 0, drainMs);
      const cutOff = pending();
      // A connection without a request, or with half of one, would hold the server for ever.
      for (const server of servers) void server.stop(true);
      await until(() => state.running === 0, abandonMs);
      return cutOff;
    },
  };
}

/** What all servers of one port have in common. */
interface ServerState {
  readonly handle: Handle;
  readonly scheme: "http" | "https";
  running: number;
  /** Those whose answers end their connections. */
  readonly leaving: Set<Server<undefined>>;
}

function listen(
  { hostname, port, certificate, onFailure, sharesPort = false }: ListenOptions & { readonly sharesPort?: boolean },
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
    error: (error) => failureResponse(onFailure(error)),
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
async function retire(old: Server<undefined>, { leaving }: ServerState): Promise<void> {
  leaving.add(old);
  await Bun.sleep(handOverMs);
  await quietTurn();
  void old.stop(false);
  // Who is in a handshake then, or in a request, has the time to end it.
  do await Bun.sleep(idleSeconds * 1000);
  while (old.pendingRequests > 0);
  await old.stop(true);
  leaving.delete(old);
}

const quietLimitMs = 1000;
/** A turn of the event loop in which nothing had come takes less. */
const quietMs = 0.1;

/**
 * Resolves behind a turn of the event loop in which nothing had come, or the limit: what comes between the last accept
 * and the end of a server the kernel refuses, unless net.ipv4.tcp_migrate_req says otherwise. So that time is kept short.
 */
async function quietTurn(): Promise<void> {
  const deadline = performance.now() + quietLimitMs;
  for (let before = -Infinity, now = performance.now(); now - before > quietMs && now < deadline;) {
    before = now;
    await new Promise((resolve) => setImmediate(resolve));
    now = performance.now();
  }
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
    const reply = await state.handle(toIncoming(request, server, { scheme: state.scheme, segments }));
    const headers = toHeaders(reply.headers);
    if (state.leaving.has(server)) headers.set("connection", "close");
    return await toResponse(request, reply, headers);
  } finally {
    state.running--;
  }
}

interface Arrival {
  readonly scheme: "http" | "https";
  readonly segments: number | undefined;
}

function toIncoming(request: Request, server: Server<undefined>, { scheme, segments }: Arrival): Incoming {
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
    remoteAddress: server.requestIP(request)?.address ?? "",
    requestId: crypto.randomUUID(),
  };
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

/** The request is not known any more, nor whether it was a HEAD; a file is not what fails to be sent. */
function failureResponse({ status, headers, ...reply }: Reply): Response {
  const given = toHeaders(headers);
  given.set("content-type", "application/json");
  return new Response(reply.kind === "json" ? JSON.stringify(reply.body) : null, { status, headers: given });
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
  const chunks = length === null ? chunksOf(body) : exactly(chunksOf(body), Number(length));
  if (length !== null && Number(length) <= mostGatheredBytes) {
    return new Response(Buffer.concat(await Array.fromAsync(chunks)), { status, headers });
  }
  return new Response(toStream(chunks), { status, headers });
}

/** What ends too early breaks the connection: chunks without a length would look like a whole body. */
async function* exactly(chunks: AsyncIterable<Uint8Array>, lengthBytes: number): AsyncGenerator<Uint8Array> {
  let sent = 0;
  for await (const chunk of chunks) {
    sent += chunk.byteLength;
    if (sent > lengthBytes) break;
    yield chunk;
  }
  if (sent !== lengthBytes) {
    throw Object.assign(new Error(`a body has other than its ${lengthBytes} bytes`), { code: "EIO" });
  }
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
