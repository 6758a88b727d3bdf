import type { Socket, TCPSocketConnectOptions } from "bun";

export interface Answer {
  readonly status: number;
  /** Lower-case name and value, a line each. */
  readonly head: string;
  /** What came, of which large bodies are only counted. */
  readonly body: Buffer;
  readonly bodyBytes: number;
}

/** Paced senders are told how many bytes may be on their way by now. */
export type Pace = (sentBytes: number) => Promise<void>;

export interface Exchange {
  /** The request line and headers, without the empty line at their end. */
  readonly head: readonly string[];
  readonly body?: readonly Uint8Array[];
  readonly pace?: Pace;
  /** Whether the answer's body is kept; otherwise it is counted and dropped. */
  readonly keep?: boolean;
}

/** One connection that is kept, and one request at a time on it: as little as a client can do between server and clock. */
export interface Connection {
  exchange(request: Exchange): Promise<Answer>;
  /** Reads nothing more. */
  pause(): void;
  /** Resolves with the first bytes of whatever comes next. */
  send(bytes: Uint8Array): Promise<void>;
  close(): void;
}

export interface Address {
  readonly host: string;
  readonly isTls: boolean;
}

const writeBytes = 256 << 10;
const headEnd = Buffer.from("\r\n\r\n");

class Reader {
  #head: Buffer | undefined;
  #waiting: Buffer[] = [];
  #kept: Buffer[] = [];
  #bytes = 0;
  #length: number | undefined;
  #answered: PromiseWithResolvers<Answer> | undefined;
  #keep = false;
  #isHead = false;
  #failure: Error | undefined;

  expect(keep: boolean, isHead: boolean): Promise<Answer> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    [this.#head, this.#waiting, this.#kept, this.#bytes] = [undefined, [], [], 0];
    [this.#keep, this.#isHead] = [keep, isHead];
    const answered = Promise.withResolvers<Answer>();
    this.#answered = answered;
    // Where the sending fails first, nobody waits for the answer.
    answered.promise.catch(() => undefined);
    return answered.promise;
  }

  take(chunk: Buffer): void {
    if (this.#head !== undefined) return this.#takeBody(chunk);
    // The buffer is the socket's, and used again.
    this.#waiting.push(Buffer.from(chunk));
    const received = Buffer.concat(this.#waiting);
    const end = received.indexOf(headEnd);
    if (end === -1) return;
    this.#head = received.subarray(0, end);
    const head = this.#head.toString("latin1").toLowerCase();
    if (/^http\/1\.1 1\d\d/.test(head)) {
      this.#head = undefined;
      this.#waiting = [];
      if (received.length > end + 4) this.take(received.subarray(end + 4));
      return;
    }
    const [, length] = /^content-length: *(\d+)/m.exec(head) ?? [];
    const isChunked = /^transfer-encoding: *chunked/m.test(head);
    this.#length = this.#isHead || /^http\/1\.1 [23]04/.test(head) ? 0 : isChunked ? undefined : Number(length ?? 0);
    this.#takeBody(received.subarray(end + 4));
  }

  fail(error: Error): void {
    this.#failure = error;
    this.#answered?.reject(error);
  }

  #takeBody(chunk: Buffer): void {
    this.#bytes += chunk.length;
    if (this.#keep || this.#length === undefined) this.#kept.push(Buffer.from(chunk));
    if (this.#length === undefined) {
      const all = Buffer.concat(this.#kept);
      if (all.subarray(-5).toString("latin1") === "0\r\n\r\n") this.#end(unchunked(all));
    } else if (this.#bytes >= this.#length) this.#end(Buffer.concat(this.#kept));
  }

  #end(body: Buffer): void {
    const head = this.#head?.toString("latin1") ?? "";
    this.#answered?.resolve({ status: Number(head.slice(9, 12)), head, body, bodyBytes: this.#bytes });
  }
}

function unchunked(bytes: Buffer): Buffer {
  const parts: Buffer[] = [];
  for (let at = 0; at < bytes.length;) {
    const lineEnd = bytes.indexOf("\r\n", at);
    const length = Number.parseInt(bytes.toString("latin1", at, lineEnd), 16);
    if (!(length > 0)) break;
    parts.push(bytes.subarray(lineEnd + 2, lineEnd + 2 + length));
    at = lineEnd + 2 + length + 2;
  }
  return Buffer.concat(parts);
}

export async function connect({ host, isTls }: Address): Promise<Connection> {
  const [hostname = "", port] = host.split(":");
  const reader = new Reader();
  let drained: (() => void) | undefined;
  const wake = (): void => {
    drained?.();
    drained = undefined;
  };
  const end = (error: Error): void => {
    reader.fail(error);
    wake();
  };
  const options: TCPSocketConnectOptions = {
    hostname,
    port: Number(port),
    ...(isTls && { tls: { rejectUnauthorized: false } }),
    socket: {
      data: (_, chunk) => reader.take(chunk),
      drain: wake,
      close: () => end(new Error(`${host} closed the connection`)),
      error: (_, error) => end(error),
    },
  };
  const socket: Socket = await Bun.connect(options);
  const send = async (bytes: Uint8Array): Promise<void> => {
    for (let at = 0; at < bytes.length;) {
      const written = socket.write(bytes, at, Math.min(writeBytes, bytes.length - at));
      if (written < 0 || socket.readyState < 0) throw new Error(`${host} closed the connection`);
      at += written;
      if (written === 0) {
        const { promise, resolve } = Promise.withResolvers<void>();
        drained = resolve;
        await promise;
      }
    }
  };
  return {
    send,
    pause: () => socket.pause(),
    close: () => socket.terminate(),
    async exchange({ head, body = [], pace, keep = false }) {
      const answer = reader.expect(keep, head[0]?.startsWith("HEAD ") === true);
      await send(Buffer.from([head[0], `Host: ${host}`, ...head.slice(1), "", ""].join("\r\n")));
      let sent = 0;
      for (const part of body) {
        await pace?.(sent);
        await send(part);
        sent += part.length;
      }
      return answer;
    },
  };
}
