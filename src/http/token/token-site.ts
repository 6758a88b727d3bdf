import type { Access } from "../../access/open-access.ts";
import { fail, RegistryError } from "../../oci/problem.ts";
import type { Handle } from "../../platform/runtime/http.ts";
import type { Site } from "../entrance.ts";
import { getJwks } from "./get-jwks.ts";
import { getToken } from "./get-token.ts";
import { postToken } from "./post-token.ts";

/** Is told how each request for a token has ended. */
export type OnTokenAnswered = (result: "issued" | "refused" | "failed") => void;

/** The token service's two paths. */
export function tokenSite(access: Access, onAnswered: OnTokenAnswered = () => undefined): Site {
  const [get, post] = [told(getToken(access), onAnswered), told(postToken(access), onAnswered)];
  const jwks = getJwks(access);
  const paths: Readonly<Record<string, Readonly<Record<string, Handle>>>> = {
    "/token": { GET: get, HEAD: get, POST: post },
    "/token/jwks.json": { GET: jwks, HEAD: jwks },
  };
  return async (request, notes) => {
    const methods = Object.hasOwn(paths, request.path) ? paths[request.path] : undefined;
    if (methods === undefined) return undefined;
    notes.handler = request.path === "/token" ? "token" : "jwks";
    const handle = Object.hasOwn(methods, request.method) ? methods[request.method] : undefined;
    const allow = Object.keys(methods);
    return handle?.(request) ?? fail({ code: "METHOD_UNSUPPORTED", allow, reason: "this method does nothing here" });
  };
}

const told =
  (handle: Handle, onAnswered: OnTokenAnswered): Handle =>
  async (request) => {
    try {
      const reply = await handle(request);
      onAnswered(reply.status === 200 ? "issued" : "refused");
      return reply;
    } catch (error) {
      onAnswered(error instanceof RegistryError ? "refused" : "failed");
      throw error;
    }
  };
