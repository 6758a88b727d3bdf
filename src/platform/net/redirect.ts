import { OutboundError, type OutboundRequest } from "./outbound.ts";

export interface Redirect {
  readonly from: URL;
  readonly to: URL;
  readonly status: number;
}

type Sent = OutboundRequest & { readonly method: NonNullable<OutboundRequest["method"]> };

/** Everything else may be a credential: of a cookie, a key or a token nobody knows the name. */
const harmless: ReadonlySet<string> = new Set(["accept", "accept-language", "range", "if-none-match", "user-agent"]);

/** The request that a redirect asks for. What was meant for one origin is not shown to another. @throws OutboundError */
export function follow(request: Sent, { from, to, status }: Redirect): Sent {
  if (from.protocol === "https:" && to.protocol === "http:")
    throw new OutboundError("redirect", `${from.origin} redirects away from TLS`);
  const isRewritten = status === 303 || (request.method === "POST" && (status === 301 || status === 302));
  const { body, headers = {}, method, ...rest } = request;
  const keepsBody = body !== undefined && !isRewritten;
  const isElsewhere = from.origin !== to.origin;
  if (keepsBody && isElsewhere)
    throw new OutboundError("redirect", `${from.origin} redirects what was sent to it to ${to.origin}`);
  const kept = Object.entries(headers).filter(([name]) => {
    const lower = name.toLowerCase();
    return isElsewhere ? harmless.has(lower) : keepsBody || !lower.startsWith("content-");
  });
  return {
    ...rest,
    url: to.href,
    method: isRewritten && method !== "HEAD" ? "GET" : method,
    headers: Object.fromEntries(kept),
    ...(keepsBody && { body }),
  };
}
