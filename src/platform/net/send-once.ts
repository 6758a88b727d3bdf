import { type ClientRequest, type IncomingMessage, request as requestHttp, type RequestOptions } from "node:http";
import { request as requestHttps } from "node:https";
import { isIP } from "node:net";
import { getCACertificates } from "node:tls";
import type { Address } from "./find-address.ts";
import { givenUp, OutboundError, type OutboundFault, type OutboundReply, type OutboundRequest } from "./outbound.ts";

export interface OneRequest extends Omit<OutboundRequest, "url"> {
  readonly url: URL;
  /** Where the connection goes, whatever the URL's name means by now. */
  readonly address: Address;
}

export interface OnceLimits {
  /** By the clock of `performance.now()`. */
  readonly connectBy: number;
  readonly deadline: number;
  readonly maxBodyBytes: number;
  readonly ca?: string | undefined;
}

export type Answer = Omit<OutboundReply, "url">;

const mostHeaderBytes = 16 * 1024;
/** Ours to set, or a way to a second request inside the first. */
const reserved: ReadonlySet<string> = new Set(
  (
    "host connection keep-alive proxy-connection upgrade te trailer expect " +
    "content-length transfer-encoding accept-encoding"
  ).split(" "),
);

/** One request on a connection of its own; redirects are answers. @throws OutboundError */
export async function sendOnce(request: OneRequest, limits: OnceLimits): Promise<Answer> {
  const { signal } = request;
  const { origin, protocol } = request.url;
  if (signal?.aborted === true) throw givenUp();
  const sent = start(request, limits);
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  let failure: OutboundError | undefined;
  /** The first reason counts; the end of the connection brings others. */
  const end = (error: OutboundError): void => {
    failure ??= error;
    settle();
    sent.destroy();
    reject(failure);
  };
  const late = (fault: OutboundFault, what: string) => () => end(new OutboundError(fault, `${origin}: ${what}`));
  const connecting = setTimeout(late("connect", "no connection in time"), left(limits.connectBy));
  const whole = setTimeout(late("timeout", "no whole answer in time"), left(limits.deadline));
  const abort = (): void => end(givenUp());
  const settle = (): void => {
    clearTimeout(connecting);
    clearTimeout(whole);
    signal?.removeEventListener("abort", abort);
  };
  signal?.addEventListener("abort", abort, { once: true });
  let reached: OutboundFault = "connect";
  const ready = (): void => {
    reached = "answer";
    clearTimeout(connecting);
  };
  sent.on("socket", (socket) => {
    if (protocol === "http:") return void socket.once("connect", ready);
    socket.once("connect", () => (reached = "tls"));
    return void socket.once("secureConnect", ready);
  });
  sent.on("error", ({ code = "" }: NodeJS.ErrnoException) =>
    end(new OutboundError(reached, `${origin}: ${/^\w{1,64}$/.test(code) ? code : "no answer"}`)),
  );
  sent.on("upgrade", (_message, socket) => {
    socket.destroy();
    end(new OutboundError("answer", `${origin}: it changed to another protocol`));
  });
  sent.on("response", resolve);
  sent.end(request.body);
  const message = await promise;
  // What it breaks off with is told by `failure`, or by its missing end.
  message.on("error", () => undefined);
  const isHead = request.method === "HEAD";
  return toAnswer(message, { origin, maxBodyBytes: limits.maxBodyBytes, isHead, failure: () => failure, end });
}

const left = (until: number): number => Math.max(0, until - performance.now());

function start({ url, address, method = "GET", headers = {}, body }: OneRequest, { ca }: OnceLimits): ClientRequest {
  const isTls = url.protocol === "https:";
  const hostname = url.hostname.replace(/^\[|\]$/g, "");
  const options: RequestOptions = {
    method,
    host: hostname,
    port: url.port === "" ? (isTls ? 443 : 80) : Number(url.port),
    path: `${url.pathname}${url.search}`,
    headers: {
      ...Object.fromEntries(Object.entries(headers).filter(([name]) => !reserved.has(name.toLowerCase()))),
      host: url.host,
      connection: "close",
      "accept-encoding": "identity",
      ...(body !== undefined && { "content-length": Buffer.byteLength(body) }),
    },
    agent: false,
    maxHeaderSize: mostHeaderBytes,
    lookup: (_name, { all }, done) =>
      all === true ? done(null, [address]) : done(null, address.address, address.family),
  };
  try {
    if (!isTls) return requestHttp(options);
    return requestHttps({
      ...options,
      ...(ca !== undefined && { ca: [...getCACertificates("default"), ca] }),
      ...(isIP(hostname) === 0 && { servername: hostname.replace(/\.$/, "") }),
      minVersion: "TLSv1.2",
      rejectUnauthorized: true,
    });
  } catch {
    throw new OutboundError("request", `${url.origin}: a header or a path that cannot be sent`);
  }
}

interface Reading {
  readonly origin: string;
  readonly maxBodyBytes: number;
  readonly isHead: boolean;
  readonly failure: () => OutboundError | undefined;
  /** Ends the connection; the first reason counts. */
  readonly end: (error: OutboundError) => void;
}

function toAnswer(message: IncomingMessage, reading: Reading): Answer {
  const headers = new Map(
    Object.entries(message.headers).flatMap(([name, value]): readonly (readonly [string, string])[] =>
      value === undefined ? [] : [[name, typeof value === "string" ? value : value.join(", ")]],
    ),
  );
  const body = bodyOf(message, headers, reading);
  return {
    status: message.statusCode ?? 0,
    headers,
    body,
    bytes: async () => Buffer.concat(await Array.fromAsync(body)),
    cancel: () => reading.end(givenUp()),
  };
}

async function* bodyOf(
  message: IncomingMessage,
  headers: ReadonlyMap<string, string>,
  { origin, maxBodyBytes, isHead, failure, end }: Reading,
): AsyncGenerator<Uint8Array> {
  const tooLarge = new OutboundError("too-large", `${origin}: an answer of more than ${maxBodyBytes} bytes`);
  try {
    // It was not asked for, and what a few bytes unpack to has no bound.
    if ((headers.get("content-encoding") ?? "identity") !== "identity")
      throw new OutboundError("answer", `${origin}: an answer that is packed`);
    if (!isHead && Number(headers.get("content-length") ?? 0) > maxBodyBytes) throw tooLarge;
    let bytes = 0;
    for await (const chunk of message as AsyncIterable<Uint8Array>) {
      bytes += chunk.byteLength;
      if (bytes > maxBodyBytes) throw tooLarge;
      yield chunk;
    }
    if (!message.complete) throw brokenOff(origin);
  } catch (error) {
    throw failure() ?? (error instanceof OutboundError ? error : brokenOff(origin));
  } finally {
    end(givenUp());
  }
}

const brokenOff = (origin: string): OutboundError =>
  new OutboundError("answer", `${origin}: an answer that breaks off`);
