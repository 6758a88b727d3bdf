import { createSocket } from "node:dgram";
import { once } from "node:events";
import { connect as connectTcp, isIP, type Socket } from "node:net";
import { connect as connectTls, getCACertificates } from "node:tls";
import { setTimeout as sleep } from "node:timers/promises";

export interface Collector {
  readonly transport: "tcp" | "tls" | "udp";
  readonly host: string;
  readonly port: number;
  /** In PEM: authorities that are trusted beside the usual ones. */
  readonly ca?: string | undefined;
}

/** Why a collector did not get what it was sent, or may not have. */
export class CollectorError extends Error {
  override readonly name = "CollectorError";
}

/** Whoever closes a connection right away is noticed within this. */
const settleMs = 250;

/**
 * Sends messages to a collector of syslog, which the operator has named, wherever it is. Over TCP and TLS it resolves when the
 * collector has closed the connection behind ours, without a fault: so it has read to the end. Where it closes before, or not in
 * time, nobody knows what it has read. Over UDP it resolves when the messages are sent.
 * @throws CollectorError
 */
export async function sendMessages(
  collector: Collector,
  messages: readonly Uint8Array[],
  limitMs: number,
): Promise<void> {
  if (messages.length === 0) return;
  if (collector.transport === "udp") return sendDatagrams(collector, messages);
  const socket = open(collector);
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new CollectorError("the collector does not answer in time")), limitMs);
  const sending = overStream(socket, messages);
  sending.catch(() => undefined);
  try {
    await Promise.race([sending, late]);
  } catch (error) {
    throw error instanceof CollectorError ? error : new CollectorError(reasonOf(error), { cause: error });
  } finally {
    clearTimeout(timer);
    socket.destroy();
  }
}

function open({ transport, host, port, ca }: Collector): Socket {
  if (transport === "tcp") return connectTcp({ host, port });
  return connectTls({
    host,
    port,
    ...(isIP(host) === 0 && { servername: host }),
    ...(ca !== undefined && { ca: [...getCACertificates("default"), ca] }),
    minVersion: "TLSv1.2",
  });
}

async function overStream(socket: Socket, messages: readonly Uint8Array[]): Promise<void> {
  const { promise: failed, reject } = Promise.withResolvers<never>();
  failed.catch(() => undefined);
  socket.on("error", reject);
  const early = (): void => reject(new CollectorError("the collector has closed the connection"));
  socket.on("end", early);
  socket.on("close", early);
  // What it says is of no interest, but its end is.
  socket.resume();
  await Promise.race([once(socket, "encrypted" in socket ? "secureConnect" : "connect"), failed]);
  for (const frame of messages.map(framed)) {
    if (!socket.write(frame)) await Promise.race([once(socket, "drain"), failed]);
  }
  await Promise.race([sleep(settleMs), failed]);
  socket.off("end", early);
  socket.off("close", early);
  const ended = once(socket, "end");
  socket.end();
  await Promise.race([ended, failed]);
}

/** Octet counting (RFC 6587, 3.4.1; RFC 5425, 4.3): a message may hold anything. */
const framed = (message: Uint8Array): Uint8Array => Buffer.concat([Buffer.from(`${message.byteLength} `), message]);

async function sendDatagrams({ host, port }: Collector, messages: readonly Uint8Array[]): Promise<void> {
  const socket = createSocket(isIP(host) === 6 ? "udp6" : "udp4");
  const { promise: failed, reject } = Promise.withResolvers<never>();
  failed.catch(() => undefined);
  socket.on("error", (error) => reject(new CollectorError(reasonOf(error))));
  try {
    for (const message of messages) {
      const { promise: sent, resolve, reject: refuse } = Promise.withResolvers<undefined>();
      socket.send(message, port, host, (error) =>
        error === null || error === undefined ? resolve(undefined) : refuse(new CollectorError(reasonOf(error))),
      );
      await Promise.race([sent, failed]);
    }
  } finally {
    socket.close();
  }
}

const reasonOf = (error: unknown): string =>
  `the collector cannot be reached: ${error instanceof Error ? error.message.slice(0, 200) : "it failed"}`;
