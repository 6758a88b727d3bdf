import type { Moved, UsageCounts } from "../features/usage/usage-counts.ts";
import { isIndexType } from "../oci/media-type.ts";
import type { Incoming, Reply } from "../platform/runtime/http.ts";
import type { RequestNotes } from "./request-record.ts";

/** Is told of every request when its answer is ready. */
export type OnEnded = (request: Incoming, notes: RequestNotes, reply: Reply) => void;

/** Has it counted who has moved how much in which repository. */
export const noteUsage =
  (counts: Pick<UsageCounts, "add">): OnEnded =>
  (request, { caller, repository, handler }, reply) => {
    if (caller === undefined || repository === undefined || handler === undefined) return;
    const moved = movedBy(request, handler, reply);
    if (moved !== undefined) counts.add(caller, repository, moved);
  };

const nothing: Moved = { pulls: 0, pulledBytes: 0, pushes: 0, pushedBytes: 0 };

function movedBy({ method, receivedBytes }: Incoming, handler: string, reply: Reply): Moved | undefined {
  switch (handler) {
    case "manifest":
      if (method === "GET" && reply.kind === "bytes" && reply.status === 200) {
        const pulls = isIndexType(String(reply.headers["content-type"])) ? 0 : 1;
        return { ...nothing, pulls, pulledBytes: reply.body.byteLength };
      }
      return method === "PUT" && reply.status === 201
        ? { ...nothing, pushes: 1, pushedBytes: receivedBytes() }
        : undefined;
    case "blob":
      return method === "GET" && (reply.status === 200 || reply.status === 206)
        ? { ...nothing, pulledBytes: Number(reply.headers["content-length"] ?? 0) }
        : undefined;
    case "upload":
    case "uploads": {
      const isTaken = reply.status === 201 || reply.status === 202;
      const pushedBytes = isTaken && method !== "DELETE" ? receivedBytes() : 0;
      return pushedBytes === 0 ? undefined : { ...nothing, pushedBytes };
    }
    default:
      return undefined;
  }
}
