import type { Resolve } from "./find-address.ts";

export interface OutboundPolicy {
  /** Hosts and networks (`ca.internal`, `10.2.0.0/16`) that may be asked although they are not on the internet. */
  readonly allow?: readonly string[];
  /** How many redirects are followed; none by default. */
  readonly redirects?: number;
  /** Until there is a connection, the name's lookup and TLS included; 10 seconds by default. */
  readonly connectMs?: number;
  /** From the call to the last byte of the body; 30 seconds by default. */
  readonly wholeMs?: number;
  readonly maxBodyBytes: number;
  /** In PEM: authorities that are trusted beside the usual ones. */
  readonly ca?: string;
  /** Where a name's addresses come from; the system by default. */
  readonly resolve?: Resolve;
}

export interface OutboundRequest {
  readonly url: string;
  readonly method?: "GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "DELETE";
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array | string;
  readonly signal?: AbortSignal;
}

export interface OutboundReply {
  readonly status: number;
  /** Names in lower case; several of one name are joined by a comma. */
  readonly headers: ReadonlyMap<string, string>;
  /** Where the answer came from in the end. */
  readonly url: string;
  /** As it was sent. Throws an OutboundError where it breaks off, is too large or takes too long. */
  readonly body: AsyncIterable<Uint8Array>;
  /** All of the body. @throws OutboundError */
  bytes(): Promise<Uint8Array>;
  /** Lets go of a body that nobody wants. */
  cancel(): void;
}

export type OutboundFault =
  /** Never asked: another scheme, a password in the address, a header that is none. */
  | "request"
  /** The host is where nothing may be asked. */
  | "address"
  /** The host's name has no address. */
  | "name"
  | "connect"
  | "tls"
  | "redirect"
  | "timeout"
  | "too-large"
  /** No HTTP, broken off, or packed. */
  | "answer"
  | "aborted";

/**
 * Why a request has no answer. The message may be logged and shown: it has the origin that was asked, and never a path,
 * a query, a header, or what the other side sent.
 */
export class OutboundError extends Error {
  override readonly name = "OutboundError";
  readonly fault: OutboundFault;
  constructor(fault: OutboundFault, message: string) {
    super(message);
    this.fault = fault;
  }
}

export const givenUp = (): OutboundError => new OutboundError("aborted", "the request was given up");
