import { connect, type Socket } from "node:net";

/** What a server said on a connection, however little of it was HTTP. */
export interface Said {
  readonly text: string;
  /** Of every answer that began, in order. */
  readonly statuses: readonly number[];
  /** Whether the server closed, and did not only fall silent. */
  readonly isClosed: boolean;
}

const silenceMs = 1500;

/** Opens a connection that nobody reads from yet; what breaks it is the server's business and no failure here. */
export function openSocket(host: string, localAddress?: string): Promise<Socket> {
  const { hostname, port } = new URL(`http://${host}`);
  return new Promise((resolve, reject) => {
    const socket = connect({ host: hostname, port: Number(port), ...(localAddress && { localAddress }) });
    socket.pause();
    socket.once("error", reject);
    socket.once("connect", () => {
      socket.off("error", reject);
      socket.on("error", () => undefined);
      resolve(socket);
    });
  });
}

/** Sends bytes exactly as they are, and listens until the server closes or falls silent. */
export async function say(host: string, bytes: string | Uint8Array): Promise<Said> {
  const socket = await openSocket(host);
  const received: Buffer[] = [];
  const end = Promise.withResolvers<boolean>();
  let timer = setTimeout(() => end.resolve(false), silenceMs);
  socket.on("data", (data: Buffer) => {
    received.push(data);
    clearTimeout(timer);
    timer = setTimeout(() => end.resolve(false), silenceMs);
  });
  socket.on("close", () => end.resolve(true));
  socket.resume();
  socket.write(typeof bytes === "string" ? Buffer.from(bytes, "latin1") : bytes);
  const isClosed = await end.promise;
  clearTimeout(timer);
  socket.destroy();
  const text = Buffer.concat(received).toString("latin1");
  const statuses = [...text.matchAll(/HTTP\/1\.1 (\d{3}) /g)].map(([, status]) => Number(status));
  return { text, statuses, isClosed };
}

/** A request without a body that asks for the connection's end, so that its answer is all that comes. */
export const head = (requestLine: string, ...headers: readonly string[]): string =>
  `${[requestLine, ...headers, "Connection: close"].join("\r\n")}\r\n\r\n`;

/** A connection that is listened to all the while. */
export interface Talk {
  readonly socket: Socket;
  /** All that has come so far. */
  text(): string;
  /** Resolves when the server has closed, with the milliseconds since the connection was opened. */
  readonly closed: Promise<number>;
  isClosed(): boolean;
}

export async function talk(host: string, first: string | Uint8Array): Promise<Talk> {
  const socket = await openSocket(host);
  const opened = performance.now();
  const received: Buffer[] = [];
  const closed = Promise.withResolvers<number>();
  let isClosed = false;
  socket.on("data", (data: Buffer) => received.push(data));
  socket.on("close", () => {
    isClosed = true;
    closed.resolve(performance.now() - opened);
  });
  socket.resume();
  socket.write(typeof first === "string" ? Buffer.from(first, "latin1") : first);
  return {
    socket,
    text: () => Buffer.concat(received).toString("latin1"),
    closed: closed.promise,
    isClosed: () => isClosed,
  };
}

/** Says `piece` again and again until the connection is closed. */
export function drip({ socket }: Talk, piece: string, everyMs: number): void {
  const timer = setInterval(() => socket.write(piece), everyMs);
  socket.on("close", () => clearInterval(timer));
}
