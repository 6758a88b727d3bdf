import type { Access } from "../access/open-access.ts";
import { anonymous, type Caller } from "../access/principal.ts";
import { fail } from "../oci/problem.ts";
import type { Incoming } from "../platform/runtime/http.ts";
import { parseAuthorization } from "./authorization-header.ts";

/** What tells who a request is from. */
type Sender = Pick<Incoming, "headers" | "remoteAddress" | "requestId">;

/**
 * Who sends a request.
 * @param scopes what the request needs, for the challenge if it is refused
 * @throws RegistryError UNAUTHORIZED when there are credentials and they are not good
 */
export type Authenticate = (request: Sender, scopes?: readonly string[]) => Promise<Caller>;

export const authenticator =
  ({ identify, tokens }: Pick<Access, "identify" | "tokens">): Authenticate =>
  async ({ headers, remoteAddress, requestId }, scopes = []) => {
    const given = parseAuthorization(headers.get("authorization"));
    switch (given.kind) {
      case "none":
        return { ...anonymous, remoteAddress };
      case "basic": {
        const identified = await identify({ name: given.name, password: given.password, remoteAddress, requestId });
        if (identified.kind === "caller") return identified.caller;
        return fail({ code: "UNAUTHORIZED", scopes });
      }
      case "bearer": {
        const caller = await tokens.verify(given.token, remoteAddress);
        if (caller !== undefined) return { ...caller, remoteAddress };
        return fail({ code: "UNAUTHORIZED", scopes, error: "invalid_token" });
      }
      case "malformed":
        return given.scheme === "bearer"
          ? fail({ code: "UNAUTHORIZED", scopes, error: "invalid_token" })
          : fail({ code: "UNAUTHORIZED", scopes });
      default:
        return given satisfies never;
    }
  };
