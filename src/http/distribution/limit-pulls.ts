import type { Caller } from "../../access/principal.ts";
import type { PullLimits, Standing } from "../../features/limits/pull-limits.ts";
import { isIndexType } from "../../oci/media-type.ts";
import { fail } from "../../oci/problem.ts";
import type { Incoming, Reply } from "../../platform/runtime/http.ts";
import { rateHeaders } from "./rate-headers.ts";

/**
 * Gives a manifest to who may still pull, with how often they may.
 * @throws RegistryError PULL_LIMIT_REACHED
 */
export type LimitPulls = (request: Incoming, caller: Caller, reply: Reply) => Promise<Reply> | Reply;

/**
 * A pull is a GET of a manifest that is sent. An index counts for nothing, as each image that is taken of it does, nor does
 * a HEAD or a 304: whoever looks whether there is something new is not kept from it. A limit is no access: who may not
 * read has been told so before.
 */
export const limitPulls =
  (limits: PullLimits, onRefused: (kind: Standing["kind"]) => void): LimitPulls =>
  ({ method, remoteAddress }, { principal }, reply) => {
    const isSent = method === "GET" && reply.status === 200;
    const counts = isSent && !isIndexType(String(reply.headers["content-type"]));
    const standing = limits({ principal, remoteAddress, counts });
    if (standing === undefined) return reply;
    const answer = (one: Standing): Reply => {
      if (one.isAllowed || !isSent) return told(one, reply);
      onRefused(one.kind);
      return fail({ code: "PULL_LIMIT_REACHED", standing: one, retryAfterSeconds: one.restMs / 1000 });
    };
    return standing instanceof Promise ? standing.then(answer) : answer(standing);
  };

/** What was made of the reply before has other headers. */
function told(standing: Standing, given: Reply): Reply {
  const { repeats: _, ...reply } = given;
  return { ...reply, headers: { ...reply.headers, ...rateHeaders(standing) } };
}
