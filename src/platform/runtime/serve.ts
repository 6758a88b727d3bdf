import type { Server } from "bun";
import { chunksOf } from "../blobs/blob-body.ts";
import { countSegments, routesByDepth } from "./routes-by-depth.ts";
import { ClientGoneError, type Handle, type Incoming, type Reply, type ReplyHeaders } from "./http.ts";

export interface Listening {
  readonly url: string;
  /**
   * Takes no new connection and resolves when the running requests have been answered. Those that take longer than
   * `drainMs` lose their connection, which their handlers hear of and which they save their work at.
   */
  stop(drainMs: number): Promise<void>;
}

export interface ListenOptions {
  readonly hostname: string;
  /** 0: any free port. */
  readonly port: number;
}

/** How long handlers may take to end once their connections are gone; then the process ends without them. */
const abandonMs = 5000;
/** A connection on which nothing moves for this long is closed; 255 is the most that Bun takes. */
const idleSeconds = 120;
/** Limits are the registry's to set, endpoint by endpoint: this one is above all of them. */
const largestBodyBytes = 2 ** 50;

/** Serves HTTP/1.1; `handle` answers every request. @throws Error EADDRINUSE when someone listens there already */
export function serve({ hostname, port }: ListenOptions, handle: Handle): Listening {
  const running = new Set<Promise<unknown>>();
  const tracked: Handle = async (request) => {
    const reply = handle(request);
    running.add(reply);
    try {
      return await reply;
    } finally {
      running.delete(reply);
    }
  };
  const server = Bun.serve({
    hostname,
    port,
    development: false,
    // Without `development` Bun shares the port, and a second server would take every other connection of the first.
    reusePort: false,
    idleTimeout: idleSeconds,
    maxRequestBodySize: largestBodyBytes,
    routes: routesByDepth(
      (segments) => (request: Request, bun: Server<undefined>) => answer(request, bun, { handle: tracked, segments }),
    ),
    fetch: (request, bun) => answer(request, bun, { handle: tracked, segments: undefined }),
    error: () => new Response(null, { status: 500 }),
  });
  const host = hostname.includes(":") ? `[${hostname}]` : hostname;
  return {
    url: `http://${host}:${server.port ?? port}`,
    async stop(drainMs) {
      if (await isDoneWithin(drainMs, server.stop(false))) return;
      await isDoneWithin(abandonMs, Promise.allSettled([server.stop(true), ...running]));
    },
  };
}

async function isDoneWithin(milliseconds: number, work: Promise<unknown>): Promise<boolean> {
  const { promise: timeout, resolve } = Promise.withResolvers<boolean>();
  const timer = setTimeout(() => resolve(false), milliseconds);
  const done = work.then(() => true);
  return Promise.race([done, timeout]).finally(() => clearTimeout(timer));
}

interface Matched {
  readonly handle: Handle;
  /** Of the path as it was sent; `undefined` for one deeper than any path of ours. */
  readonly segments: number | undefined;
}

async function answer(request: Request, server: Server<undefined>, { handle, segments }: Matched): Promise<Response> {
  // What a handler leaves of the body unread Bun takes off the connection by itself: the client gets its early answer.
  const reply = await handle(toIncoming(request, server, segments));
  return toResponse(request, reply, toHeaders(reply.headers));
}

function toIncoming(request: Request, server: Server<undefined>, segments: number | undefined): Incoming {
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
    scheme: "http",
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
