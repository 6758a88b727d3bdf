import type { Incoming, Reply } from "../../platform/runtime/http.ts";
import type { Told } from "../problem-reply.ts";

/** RFC 9457: what the API refuses. */
export function problemJson({ status, headers, errors }: Told, { requestId, headers: given }: Incoming): Reply {
  const [{ problem, message, detail }] = errors;
  const body = {
    type: "about:blank",
    title: titles[status] ?? "Refused",
    status,
    detail: message,
    code: problem,
    requestId,
    ...(problem === "INPUT_INVALID" && detail !== undefined && { faults: detail }),
  };
  const { "www-authenticate": challenge, ...others } = headers;
  return {
    kind: "bytes",
    status,
    headers: {
      ...others,
      // A browser would ask for name and password by a window of its own.
      ...(status === 401 && challenge !== undefined && !given.has("sec-fetch-site") && { "www-authenticate": basic }),
      "content-type": "application/problem+json",
      "cache-control": "no-store",
    },
    body: Buffer.from(JSON.stringify(body)),
  };
}

const basic = 'Basic realm="berth",charset="UTF-8"';

const titles: Readonly<Record<number, string>> = {
  400: "Bad Request",
  401: "Unauthorized",
  403: "Forbidden",
  404: "Not Found",
  405: "Method Not Allowed",
  408: "Request Timeout",
  409: "Conflict",
  412: "Precondition Failed",
  413: "Content Too Large",
  415: "Unsupported Media Type",
  422: "Unprocessable Content",
  428: "Precondition Required",
  429: "Too Many Requests",
  500: "Internal Server Error",
  503: "Service Unavailable",
  507: "Insufficient Storage",
};
