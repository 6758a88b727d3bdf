import { once } from "node:events";
import { connect as connectTcp, isIP, type Socket } from "node:net";
import { connect as connectTls, getCACertificates, type TLSSocket } from "node:tls";
import { type Address, findAddresses, resolveBySystem } from "../find-address.ts";
import { openNetworks } from "../networks.ts";
import { OutboundError } from "../outbound.ts";
import { DirectoryError, type DirectoryStep } from "./directory-error.ts";
import { requestTls } from "./start-tls.ts";

export interface ChannelTarget {
  readonly host: string;
  readonly port: number;
  /** `starttls`: plain for one question and its answer, and nothing else is ever said in plain. */
  readonly security: "tls" | "starttls";
}

export interface ChannelTrust {
  readonly verifyCertificate: boolean;
  /** In PEM: authorities that are trusted beside the usual ones. */
  readonly ca: string | undefined;
}

const mostAddresses = 4;

/**
 * An encrypted connection to a directory, and never another one. Its host may be in a private network: whoever runs the
 * server has named it. @param connectMs for all of it, the name's lookup included. @throws DirectoryError
 */
export async function openTlsChannel(
  target: ChannelTarget,
  trust: ChannelTrust,
  connectMs: number,
): Promise<TLSSocket> {
  const attempt: Attempt = { step: "name", sockets: [], isOver: false };
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => {
    attempt.isOver = true;
    reject(new DirectoryError(attempt.step, "no answer in time"));
    for (const socket of attempt.sockets) socket.destroy();
  }, connectMs);
  const opening = open(target, trust, attempt);
  // Where time was up, nobody waits for it.
  opening.catch(() => undefined);
  try {
    return await Promise.race([opening, late]);
  } finally {
    clearTimeout(timer);
  }
}

interface Attempt {
  step: DirectoryStep;
  readonly sockets: Socket[];
  isOver: boolean;
}

async function open(target: ChannelTarget, trust: ChannelTrust, attempt: Attempt): Promise<TLSSocket> {
  const reachable = { hosts: new Set([target.host]), networks: openNetworks([]) };
  const found = await findAddresses(target.host, reachable, resolveBySystem).catch((error: unknown) => {
    throw error instanceof OutboundError ? new DirectoryError("name", error.message) : error;
  });
  const plain = await connectToOneOf(found.slice(0, mostAddresses), target.port, attempt);
  attempt.step = "tls";
  try {
    if (target.security === "starttls") await requestTls(plain);
    const secure = connectTls({
      socket: plain,
      ...(isIP(target.host) === 0 ? { servername: target.host } : { host: target.host }),
      ...(trust.ca !== undefined && { ca: [...getCACertificates("default"), trust.ca] }),
      rejectUnauthorized: trust.verifyCertificate,
      minVersion: "TLSv1.2",
    });
    attempt.sockets.push(secure);
    await happens(secure, "secureConnect");
    return secure;
  } catch (error) {
    plain.destroy();
    throw error instanceof DirectoryError ? error : new DirectoryError("tls", codeOf(error));
  }
}

async function connectToOneOf(addresses: readonly Address[], port: number, attempt: Attempt): Promise<Socket> {
  let failure = "it has no address";
  for (const { address } of addresses) {
    if (attempt.isOver) break;
    attempt.step = "connect";
    const socket = connectTcp({ host: address, port, noDelay: true });
    attempt.sockets.push(socket);
    try {
      await happens(socket, "connect");
      return socket;
    } catch (error) {
      socket.destroy();
      failure = codeOf(error);
    }
  }
  throw new DirectoryError("connect", failure);
}

/** Rejects with the socket's error, or where it is closed before. */
async function happens(socket: Socket, event: "connect" | "secureConnect"): Promise<void> {
  const over = new AbortController();
  const { promise: closed, reject } = Promise.withResolvers<never>();
  const close = (): void => reject(new Error("the connection was closed"));
  socket.once("close", close);
  try {
    await Promise.race([once(socket, event, { signal: over.signal }), closed]);
  } finally {
    socket.off("close", close);
    over.abort();
  }
}

const codeOf = (error: unknown): string =>
  error instanceof Error && "code" in error && typeof error.code === "string"
    ? `${error.code}: ${error.message}`.slice(0, 200)
    : error instanceof Error
      ? error.message.slice(0, 200)
      : "it failed";
