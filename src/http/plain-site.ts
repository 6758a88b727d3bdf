import { fail } from "../oci/problem.ts";
import type { Reply } from "../platform/runtime/http.ts";
import { parseHost } from "./challenge.ts";
import type { Site } from "./entrance.ts";

interface PlainSite {
  /** What a token of a challenge is answered with. */
  readonly answers: ReadonlyMap<string, string>;
  /** Names that this server has, in lower case. */
  readonly hosts: readonly string[];
  /** Where the same name is served with TLS. */
  readonly securePort: number;
}

const challengePath = "/.well-known/acme-challenge/";

/**
 * All there is without TLS: answers to an authority, and the way to https. A request that may hold a password or an
 * image is refused, so that a client that is set up without TLS shows it instead of going on.
 */
export function plainSite({ answers, hosts, securePort }: PlainSite): Site {
  return async ({ method, path, headers, query }, notes): Promise<Reply> => {
    if (method !== "GET" && method !== "HEAD")
      return fail({ code: "METHOD_UNSUPPORTED", allow: ["GET", "HEAD"], reason: "this port only leads to https" });
    if (path.startsWith(challengePath)) {
      notes.handler = "acme";
      const answer = answers.get(path.slice(challengePath.length));
      if (answer === undefined) return fail({ code: "ROUTE_UNKNOWN" });
      const type = { "content-type": "application/octet-stream" };
      return { kind: "bytes", status: 200, headers: type, body: Buffer.from(answer) };
    }
    const name = parseHost(headers.get("host") ?? "")?.replace(/:\d+$/, "");
    if (name === undefined || !hosts.includes(name)) return fail({ code: "ROUTE_UNKNOWN" });
    const port = securePort === 443 ? "" : `:${securePort}`;
    const search = query.size === 0 ? "" : `?${query.toString()}`;
    return { kind: "empty", status: 308, headers: { location: `https://${name}${port}${path}${search}` } };
  };
}
