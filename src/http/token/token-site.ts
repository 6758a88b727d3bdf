import type { Access } from "../../access/open-access.ts";
import { fail } from "../../oci/problem.ts";
import type { Handle } from "../../platform/runtime/http.ts";
import type { Site } from "../entrance.ts";
import { getJwks } from "./get-jwks.ts";
import { getToken } from "./get-token.ts";
import { postToken } from "./post-token.ts";

/** The token service's two paths. */
export function tokenSite(access: Access): Site {
  const [token, jwks] = [getToken(access), getJwks(access)];
  const paths: Readonly<Record<string, Readonly<Record<string, Handle>>>> = {
    "/token": { GET: token, HEAD: token, POST: postToken(access) },
    "/token/jwks.json": { GET: jwks, HEAD: jwks },
  };
  return async (request) => {
    const methods = Object.hasOwn(paths, request.path) ? paths[request.path] : undefined;
    if (methods === undefined) return undefined;
    const handle = Object.hasOwn(methods, request.method) ? methods[request.method] : undefined;
    const allow = Object.keys(methods);
    return handle?.(request) ?? fail({ code: "METHOD_UNSUPPORTED", allow, reason: "this method does nothing here" });
  };
}
