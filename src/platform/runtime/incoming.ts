import type { WatchedBody } from "./body-watch.ts";
import type { Peer } from "./front.ts";
import type { Incoming } from "./http.ts";
import { requestIds } from "./request-ids.ts";
import { hasLostSegments } from "./routes-by-depth.ts";

interface Arrival {
  readonly scheme: "http" | "https";
  /** Of the path as it was sent; `undefined` for one that no route matches. */
  readonly segments: number | undefined;
  readonly body: WatchedBody | undefined;
  readonly peer: Peer;
}

const nextRequestId = requestIds();

/** A request of Bun's as data. What most requests are never asked for is made when somebody asks. */
export function toIncoming(request: Request, { scheme, segments, body, peer }: Arrival): Incoming {
  const { method, url } = request;
  const { path, query } = splitUrl(url);
  // All of them at once take Bun as long as one or two asked for alone, and nothing of its own is held for the log.
  const fields = request.headers.toJSON();
  let parsed: URLSearchParams | undefined;
  return {
    method,
    path,
    hasDotSegments: hasLostSegments(path, segments),
    queryText: query,
    get query() {
      return (parsed ??= new URLSearchParams(query));
    },
    headers: { get: (name) => fields[name], has: (name) => fields[name] !== undefined },
    body: body?.chunks ?? noBody,
    receivedBytes: body?.bytes ?? noBytes,
    bodyBytes: bodyBytesOf(fields, body !== undefined),
    scheme,
    remoteAddress: peer.address,
    peerCertificate: peer.certificate,
    requestId: nextRequestId(),
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
function bodyBytesOf(fields: Readonly<Record<string, string>>, hasBody: boolean): number | undefined {
  const length = fields["content-length"];
  const streams = fields["transfer-encoding"] !== undefined || (length === undefined && hasBody);
  return streams ? undefined : Number.parseInt(length ?? "0", 10);
}

const noBytes = (): number => 0;

const noBody: AsyncIterable<Uint8Array> = { async *[Symbol.asyncIterator]() {} };
