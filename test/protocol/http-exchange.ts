import { connect } from "node:net";

/** One HTTP/1.1 request exactly as given: no normalised paths, no added headers, no hidden retries. */
export interface RawRequest {
  readonly method: string;
  readonly target: string;
  readonly headers: readonly (readonly [string, string])[];
  /** Bytes are sent as they are; an iterable is sent in chunks, unless the headers carry a Content-Length. */
  readonly body?: Uint8Array | AsyncIterable<Uint8Array> | undefined;
  /** Holds the body back until the server has said 100. */
  readonly awaitContinue?: boolean | undefined;
  /**
   * Asks for a connection that stays, as clients do; else the end of the connection is the end of the answer. A body that
   * takes its time comes on one that stays: where the server answers early and then ends the connection, whoever still
   * writes may see its end before the answer.
   */
  readonly keepAlive?: boolean | undefined;
}

export interface RawAnswer {
  readonly status: number;
  readonly headers: readonly (readonly [string, string])[];
  readonly body: Buffer;
  /** Statuses below 200 that came first. */
  readonly interim: readonly number[];
}

const answerTimeoutMs = 20_000;
const sentAtOnceBytes = 16 * 1024;

const keepsConnection = ({ keepAlive, body }: RawRequest): boolean =>
  keepAlive ?? (body !== undefined && !(body instanceof Uint8Array && body.length <= sentAtOnceBytes));

/** Sends the request on a connection of its own and reads the one answer to it. */
export function exchange(host: string, request: RawRequest): Promise<RawAnswer> {
  const { hostname, port } = new URL(`http://${host}`);
  const received: Buffer[] = [];
  const continued = Promise.withResolvers<undefined>();
  return new Promise((resolve, reject) => {
    const socket = connect({ host: hostname, port: Number(port) });
    const timer = setTimeout(() => {
      finish(new Error(`no whole answer to ${request.method} ${request.target} in ${String(answerTimeoutMs)} ms`));
    }, answerTimeoutMs);
    const finish = (failure?: Error): void => {
      clearTimeout(timer);
      continued.resolve(undefined);
      socket.destroy();
      try {
        resolve(parseAnswer(request.method, Buffer.concat(received)));
      } catch (error) {
        reject(failure ?? (error as Error));
      }
    };
    socket.on("data", (bytes: Buffer) => {
      received.push(bytes);
      if (Buffer.concat(received.slice(0, 4)).includes("\r\n\r\n")) continued.resolve(undefined);
      if (keepsConnection(request) && isWhole(request.method, received)) finish();
    });
    // A server may answer and close before it has read everything; what it said counts, not the broken pipe.
    socket.on("error", finish);
    socket.on("close", () => finish());
    socket.on("connect", () => {
      void sendRequest(socket, { host, request, continued: continued.promise }).catch(finish);
    });
  });
}

type Socket = ReturnType<typeof connect>;

interface Sending {
  readonly host: string;
  readonly request: RawRequest;
  readonly continued: Promise<undefined>;
}

async function sendRequest(socket: Socket, { host, request, continued }: Sending): Promise<void> {
  const { body, headers } = request;
  const given = new Set(headers.map(([name]) => name.toLowerCase()));
  const lines = [`${request.method} ${request.target} HTTP/1.1`];
  if (!given.has("host")) lines.push(`Host: ${host}`);
  lines.push(...headers.map(([name, value]) => `${name}: ${value}`));
  if (!keepsConnection(request)) lines.push("Connection: close");
  const chunked = body !== undefined && !(body instanceof Uint8Array) && !given.has("content-length");
  if (chunked) lines.push("Transfer-Encoding: chunked");
  if (body instanceof Uint8Array && !given.has("content-length")) lines.push(`Content-Length: ${String(body.length)}`);
  await write(socket, Buffer.from(`${lines.join("\r\n")}\r\n\r\n`, "latin1"));
  if (request.awaitContinue === true) await continued;
  if (body === undefined) return;
  if (body instanceof Uint8Array) return write(socket, body);
  for await (const piece of body) {
    if (socket.destroyed) return;
    const framed = [Buffer.from(`${piece.length.toString(16)}\r\n`), piece, Buffer.from("\r\n")];
    if (piece.length > 0) await write(socket, chunked ? Buffer.concat(framed) : piece);
  }
  if (chunked) await write(socket, Buffer.from("0\r\n\r\n"));
}

function write(socket: Socket, bytes: Uint8Array): Promise<void> {
  if (socket.destroyed || bytes.length === 0) return Promise.resolve();
  return new Promise((resolve) => {
    const done = (): void => {
      socket.off("close", done);
      resolve();
    };
    socket.once("close", done);
    socket.write(bytes, done);
  });
}

function isWhole(method: string, received: readonly Buffer[]): boolean {
  try {
    parseAnswer(method, Buffer.concat(received));
    return true;
  } catch {
    return false;
  }
}

/** Fails unless the bytes are one whole answer with a body of the announced length and nothing behind it. */
function parseAnswer(method: string, bytes: Buffer): RawAnswer {
  const interim: number[] = [];
  for (let rest = bytes; ;) {
    const end = rest.indexOf("\r\n\r\n");
    if (end < 0) throw new Error(`the connection closed before an answer: ${JSON.stringify(bytes.toString("latin1"))}`);
    const [statusLine = "", ...lines] = rest.subarray(0, end).toString("latin1").split("\r\n");
    rest = rest.subarray(end + 4);
    const status = Number(/^HTTP\/1\.1 (\d{3})/.exec(statusLine)?.[1]);
    if (status < 200) {
      interim.push(status);
      continue;
    }
    const headers = lines.map((line): readonly [string, string] => {
      const colon = line.indexOf(":");
      return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
    });
    return { status, headers, interim, body: parseBody(rest, { method, status, headers }) };
  }
}

function parseBody(rest: Buffer, about: { method: string; status: number; headers: RawAnswer["headers"] }): Buffer {
  const header = (name: string): string | undefined => about.headers.find(([key]) => key === name)?.[1];
  const bodiless = about.method === "HEAD" || about.status === 204 || about.status === 304;
  if (bodiless) {
    if (rest.length > 0) throw new Error(`${String(rest.length)} bytes of body where none may be`);
    return rest;
  }
  if (header("transfer-encoding") === "chunked") return parseChunks(rest);
  const length = header("content-length");
  if (length !== undefined && Number(length) !== rest.length) {
    throw new Error(`Content-Length ${length}, but ${String(rest.length)} bytes of body`);
  }
  return rest;
}

function parseChunks(bytes: Buffer): Buffer {
  const chunks: Buffer[] = [];
  for (let offset = 0; ;) {
    const lineEnd = bytes.indexOf("\r\n", offset);
    if (lineEnd < 0) throw new Error("the chunked body was cut short");
    const size = Number.parseInt(bytes.subarray(offset, lineEnd).toString("latin1"), 16);
    if (size === 0) return Buffer.concat(chunks);
    chunks.push(bytes.subarray(lineEnd + 2, lineEnd + 2 + size));
    offset = lineEnd + 2 + size + 2;
  }
}
