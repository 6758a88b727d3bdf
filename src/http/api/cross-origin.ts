import type { Incoming, Reply, ReplyHeaders } from "../../platform/runtime/http.ts";

const methods = "GET, HEAD, POST, PUT, PATCH, DELETE";
const requestHeaders = "authorization, content-type, if-match, idempotency-key, x-berth-background";
const replyHeaders = "etag, location, retry-after, x-request-id";
const keptForSeconds = 600;

/** Pages of other origins that may ask: with credentials that they send themselves, and never with a cookie. */
export interface CrossOrigin {
  /** The answer to a browser that asks before it sends a request; before anyone is asked who they are. */
  preflight(request: Incoming): Reply | undefined;
  headers(request: Incoming): ReplyHeaders;
}

export function crossOrigin(origins: readonly string[]): CrossOrigin {
  const allowed = new Set(origins);
  const vary = origins.length === 0 ? {} : { vary: "origin" };
  const headers = ({ headers: given }: Incoming): ReplyHeaders => {
    const origin = given.get("origin");
    if (origin === undefined || !allowed.has(origin)) return vary;
    return { ...vary, "access-control-allow-origin": origin, "access-control-expose-headers": replyHeaders };
  };
  return {
    headers,
    preflight(request) {
      const origin = request.headers.get("origin");
      const asks = request.method === "OPTIONS" && request.headers.has("access-control-request-method");
      if (!asks || origin === undefined || !allowed.has(origin)) return undefined;
      return {
        kind: "empty",
        status: 204,
        headers: {
          ...headers(request),
          "access-control-allow-methods": methods,
          "access-control-allow-headers": requestHeaders,
          "access-control-max-age": keptForSeconds,
        },
      };
    },
  };
}
