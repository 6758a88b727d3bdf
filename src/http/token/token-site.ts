import type { Access } from "../../access/open-access.ts";
import { fail } from "../../oci/problem.ts";
import type { Handle, Incoming, Reply } from "../../platform/runtime/http.ts";
import { getJwks } from "./get-jwks.ts";
import { getToken } from "./get-token.ts";
import { postToken } from "./post-token.ts";

/** The token service, at the realm that challenges name; `undefined` for any other path. */
export function tokenSite(access: Access): (request: Incoming) => Promise<Reply | undefined> {
  const paths: ReadonlyMap<string, ReadonlyMap<string, Handle>> = new Map([
    [
      "/token",
      new Map([
        ["GET", getToken(access)],
        ["POST", postToken(access)],
      ]),
    ],
    [
      "/token/jwks.json",
      new Map([
        ["GET", getJwks(access)],
        ["HEAD", getJwks(access)],
      ]),
    ],
  ]);
  return async (request) => {
    // As the client wrote it: a path that only means the same after decoding is another one.
    const methods = paths.get(request.path);
    if (methods === undefined) return undefined;
    const handle = methods.get(request.method);
    if (handle !== undefined) return handle(request);
    const allow = [...methods.keys()];
    return fail({ code: "METHOD_UNSUPPORTED", allow, reason: `this endpoint answers ${allow.join(" and ")}` });
  };
}
