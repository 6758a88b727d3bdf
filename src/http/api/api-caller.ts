import { principalOf } from "../../access/accounts.ts";
import type { Access } from "../../access/open-access.ts";
import { anonymous, type Caller } from "../../access/principal.ts";
import { fail } from "../../oci/problem.ts";
import type { Incoming } from "../../platform/runtime/http.ts";
import { parseAuthorization } from "../authorization-header.ts";
import type { Vouching } from "../vouching.ts";
import { isFromPage, readSessionCookie, requireOwnPage } from "./session-cookie.ts";

type CallerDeps = Pick<Access, "identify" | "sessions"> & {
  readonly publicUrl: string | undefined;
  readonly vouching?: Vouching | undefined;
};

/** Whoever sends it with a request asks by itself and not for a person: such a request keeps no session alive. */
const background = "x-berth-background";
const safe: ReadonlySet<string> = new Set(["GET", "HEAD"]);

/**
 * Who asks the API: by name and password, by a personal token or a robot's secret, or by the cookie of a session, or whom a proxy
 * vouches for. A token of the registry protocol is for that alone.
 * @throws RegistryError UNAUTHORIZED for credentials that are not good, FOREIGN_ORIGIN, TOO_MANY_REQUESTS
 */
export const apiCaller =
  ({ identify, sessions, publicUrl, vouching }: CallerDeps) =>
  async (request: Incoming): Promise<Caller> => {
    const { headers, remoteAddress, requestId, method } = request;
    const given = parseAuthorization(headers.get("authorization"));
    switch (given.kind) {
      case "none": {
        const secret = headers.has("authorization") ? undefined : readSessionCookie(request);
        if (secret === undefined) {
          const vouched = await vouching?.callerOf(request);
          // As with a cookie: the proxy may know a browser by one of its own.
          if (vouched !== undefined && !safe.has(method) && isFromPage(request)) requireOwnPage(request, publicUrl);
          return vouched ?? { ...anonymous, remoteAddress };
        }
        if (!safe.has(method)) requireOwnPage(request, publicUrl);
        const found = await sessions.use(secret, !headers.has(background));
        return found === undefined
          ? fail({ code: "UNAUTHORIZED", scopes: [] })
          : { principal: principalOf(found.account), remoteAddress };
      }
      case "basic": {
        const identified = await identify({ name: given.name, password: given.password, remoteAddress, requestId });
        return identified.kind === "caller" ? identified.caller : fail({ code: "UNAUTHORIZED", scopes: [] });
      }
      case "bearer": {
        const identified = await identify({ name: undefined, password: given.token, remoteAddress, requestId });
        return identified.kind === "caller" ? identified.caller : fail({ code: "UNAUTHORIZED", scopes: [] });
      }
      case "malformed":
        return fail({ code: "UNAUTHORIZED", scopes: [] });
      default:
        return given satisfies never;
    }
  };
