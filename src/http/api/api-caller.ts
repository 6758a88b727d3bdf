import { principalOf } from "../../access/accounts.ts";
import type { Access } from "../../access/open-access.ts";
import { anonymous, type Caller } from "../../access/principal.ts";
import { fail } from "../../oci/problem.ts";
import type { Incoming } from "../../platform/runtime/http.ts";
import { parseAuthorization } from "../authorization-header.ts";
import { readSessionCookie, requireOwnPage } from "./session-cookie.ts";

type CallerDeps = Pick<Access, "verifyPassword" | "sessions"> & { readonly publicUrl: string | undefined };

/** Whoever sends it with a request asks by itself and not for a person: such a request keeps no session alive. */
const background = "x-berth-background";
const safe: ReadonlySet<string> = new Set(["GET", "HEAD"]);

/**
 * Who asks the API: by name and password, or by the cookie of a session. A token of the registry protocol is for that alone.
 * @throws RegistryError UNAUTHORIZED for credentials that are not good, FOREIGN_ORIGIN, TOO_MANY_REQUESTS
 */
export const apiCaller =
  ({ verifyPassword, sessions, publicUrl }: CallerDeps) =>
  async (request: Incoming): Promise<Caller> => {
    const { headers, remoteAddress, method } = request;
    const given = parseAuthorization(headers.get("authorization"));
    switch (given.kind) {
      case "none": {
        const secret = headers.has("authorization") ? undefined : readSessionCookie(request);
        if (secret === undefined) return { ...anonymous, remoteAddress };
        if (!safe.has(method)) requireOwnPage(request, publicUrl);
        const found = await sessions.use(secret, !headers.has(background));
        return found === undefined
          ? fail({ code: "UNAUTHORIZED", scopes: [] })
          : { principal: principalOf(found.account), remoteAddress };
      }
      case "basic": {
        const verified = await verifyPassword({ name: given.name, password: given.password, remoteAddress });
        return verified.kind === "account"
          ? { principal: principalOf(verified.account), remoteAddress }
          : fail({ code: "UNAUTHORIZED", scopes: [] });
      }
      case "bearer":
      case "malformed":
        return fail({ code: "UNAUTHORIZED", scopes: [] });
      default:
        return given satisfies never;
    }
  };
