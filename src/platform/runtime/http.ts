import type { BlobBody } from "../blobs/blob-store.ts";
import type { JsonValue } from "../../oci/json.ts";

/** Of a request; names are given in lower case. */
export type HeaderFields = Pick<ReadonlyMap<string, string>, "get" | "has">;

/** A request as data; nothing above the runtime sees Bun's. */
export interface Incoming {
  readonly method: string;
  /** As the client sent it: not decoded, without the query. Begins with a slash. */
  readonly path: string;
  /** Whether the client sent `.` or `..`, plain or encoded: `path` is where they lead, which no client of ours means. */
  readonly hasDotSegments: boolean;
  readonly query: URLSearchParams;
  /** The same as the client sent it, without its question mark. */
  readonly queryText: string;
  readonly headers: HeaderFields;
  /** Ends with a ClientGoneError where the client goes away in the middle, with a SlowBodyError where it is too slow. */
  readonly body: AsyncIterable<Uint8Array>;
  /** Bytes of the body, 0 without one; `undefined` when it streams. */
  readonly bodyBytes: number | undefined;
  /** How much of it has been read so far. */
  readonly receivedBytes: () => number;
  /** `http` or `https`, as this server was asked. */
  readonly scheme: "http" | "https";
  /** Of the client; of the connection where no trusted proxy tells more. */
  readonly remoteAddress: string;
  /** Of the connection, where a trusted proxy has brought the request. */
  readonly proxyAddress?: string;
  /** In DER, which the other end of the connection has shown that it has the key of. Whether it is any good is not said. */
  readonly peerCertificate?: Uint8Array | undefined;
  /** The runtime sends it with the answer too. */
  readonly requestId: string;
}

/** Nobody is there to read an answer, and nobody here is at fault. */
export class ClientGoneError extends Error {
  override readonly name = "ClientGoneError";
}

/** The client is there, but sends less than it has to. */
export class SlowBodyError extends Error {
  override readonly name = "SlowBodyError";
}

export type ReplyHeaders = Readonly<Record<string, string | number | readonly string[]>>;

/** An answer as data; the runtime alone decides how the bytes are sent. A HEAD's body is left out there. */
export type Reply = {
  readonly status: number;
  readonly headers: ReplyHeaders;
  /** This very object answers many requests: what was made of it once may be kept. */
  readonly repeats?: true;
} & (
  | { readonly kind: "empty" }
  | { readonly kind: "json"; readonly body: JsonValue }
  | { readonly kind: "bytes"; readonly body: Uint8Array }
  | { readonly kind: "blob"; readonly body: BlobBody }
);

/** Answers every request; an error that it throws is a bug. What need not wait is no promise. */
export type Handle = (request: Incoming) => Promise<Reply> | Reply;
