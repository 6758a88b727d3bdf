import { connect, type Socket } from "node:net";
import { setImmediate } from "node:timers/promises";
import { digestOf } from "../protocol/content.ts";

/** How the pulls of raw clients went. A pull is one request on a connection that is kept as long as the server keeps it. */
export interface PullTally {
  whole: number;
  /** Connections that nobody took: a pull that has not begun, and is tried again. */
  refused: number;
  /** Answers that broke off, or never came. */
  failed: string[];
  /** The same of a client that had stood still meanwhile: what it sent crossed the end of an idle connection. */
  stoodStill: number;
  wrong: string[];
}

export interface PullPlan {
  readonly host: string;
  readonly authorization: string;
  /** Each is pulled in turn; the digest is what has to come. */
  readonly pulls: readonly { readonly path: string; readonly digest: string }[];
  readonly clients: number;
  /** Those of the clients who open a connection for each pull; the others keep theirs. */
  readonly withoutKeepAlive: number;
}

export interface RunningPulls {
  readonly tally: PullTally;
  /** Resolves when the last pull has ended. */
  stop(): Promise<PullTally>;
}

/** A server believes a client that says nothing for so long to be idle. */
const stillMs = 150;
const retryMs = 50;

/** Clients that pull without a pause, and without a library that would try again on its own. */
export function startPulls(plan: PullPlan): RunningPulls {
  const tally: PullTally = { whole: 0, refused: 0, failed: [], stoodStill: 0, wrong: [] };
  const watch = watchStandstills();
  const stop = { asked: false };
  const clients = Array.from({ length: plan.clients }, async (_, client) => {
    const keepAlive = client >= plan.withoutKeepAlive;
    let kept: Connection | undefined;
    for (let index = client; !stop.asked; index++) {
      const pull = plan.pulls[index % plan.pulls.length];
      if (pull === undefined) throw new Error("nothing to pull");
      // What ends a connection may have come, and is to be seen before it is used again.
      await setImmediate();
      const connection = kept?.isOpen() === true ? kept : await open(plan.host);
      kept = undefined;
      if (connection === undefined) {
        tally.refused++;
        await Bun.sleep(retryMs);
        continue;
      }
      const began = performance.now();
      const ended = await connection.get(pull.path, { ...plan, keepAlive });
      if ("failure" in ended) {
        if (watch.stoodStillSince(began - stillMs)) tally.stoodStill++;
        else tally.failed.push(ended.failure);
        continue;
      }
      if (ended.status !== 200 || digestOf(ended.body) !== pull.digest) {
        tally.wrong.push(`${pull.path}: ${ended.status} ${ended.body.toString("latin1", 0, 200)}`);
      } else tally.whole++;
      if (ended.isKept && keepAlive) kept = connection;
      else connection.close();
    }
    kept?.close();
  });
  return {
    tally,
    async stop() {
      stop.asked = true;
      await Promise.all(clients);
      watch.stop();
      return tally;
    },
  };
}

/** Knows when this process got no time, or too little to be a client that asks without a pause. */
function watchStandstills() {
  const everyMs = 10;
  let latest = performance.now();
  let stillUntil = -Infinity;
  const timer = setInterval(() => {
    const now = performance.now();
    if (now - latest > stillMs) stillUntil = now;
    latest = now;
  }, everyMs);
  return {
    stoodStillSince: (at: number): boolean => stillUntil >= at || performance.now() - latest > stillMs,
    stop: () => clearInterval(timer),
  };
}

type Ended =
  | { readonly failure: string }
  | { readonly status: number; readonly body: Buffer; readonly isKept: boolean };

interface Connection {
  isOpen(): boolean;
  get(
    path: string,
    how: { readonly host: string; readonly authorization: string; readonly keepAlive: boolean },
  ): Promise<Ended>;
  close(): void;
}

/** `undefined` where nobody takes it. */
async function open(host: string): Promise<Connection | undefined> {
  const [hostname = "", port] = host.split(":");
  const socket = connect({ host: hostname, port: Number(port) });
  const connected = await new Promise<boolean>((resolve) => {
    socket.once("connect", () => resolve(true));
    socket.once("error", () => resolve(false));
  });
  return connected ? conversationOn(socket) : undefined;
}

const nothing = (): void => {};

function conversationOn(socket: Socket): Connection {
  let isOpen = true;
  let received: Buffer[] = [];
  let tell = nothing;
  const end = (): void => {
    isOpen = false;
    tell();
  };
  socket.on("data", (chunk: Buffer) => {
    received.push(chunk);
    tell();
  });
  for (const event of ["end", "close", "error"]) socket.on(event, end);
  return {
    isOpen: () => isOpen,
    close: () => void socket.destroy(),
    async get(path, { host, authorization, keepAlive }) {
      const lines = [`GET ${path} HTTP/1.1`, `Host: ${host}`, `Authorization: ${authorization}`];
      if (!keepAlive) lines.push("Connection: close");
      received = [];
      socket.write(`${lines.join("\r\n")}\r\n\r\n`);
      for (;;) {
        const answer = wholeAnswer(received);
        if (answer !== undefined) return answer;
        if (!isOpen) return { failure: `${path}: ended after ${Buffer.concat(received).length} bytes` };
        await new Promise<void>((resolve) => {
          tell = resolve;
        });
      }
    },
  };
}

function wholeAnswer(received: readonly Buffer[]): Ended | undefined {
  const bytes = Buffer.concat(received);
  const headEnd = bytes.indexOf("\r\n\r\n");
  if (headEnd === -1) return undefined;
  const head = bytes.toString("latin1", 0, headEnd);
  const length = Number(/^content-length: (\d+)/im.exec(head)?.[1] ?? 0);
  const body = bytes.subarray(headEnd + 4);
  if (body.length < length) return undefined;
  const status = Number(/^HTTP\/1\.1 (\d{3})/.exec(head)?.[1]);
  return { status, body, isKept: !/^connection: close/im.test(head) };
}
