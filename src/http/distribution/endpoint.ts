import type { Caller } from "../../access/principal.ts";
import type { RepositoryName } from "../../oci/names.ts";
import type { Incoming, Reply } from "../../platform/runtime/http.ts";

/** What a request needs on its repository; `push` is to create or to move, whichever the caller may. */
export type Need = "pull" | "push" | "delete";

/** A request that has passed its route's access check. */
export interface Call {
  readonly request: Incoming;
  readonly caller: Caller;
  readonly repository: RepositoryName;
  /** The last part of the path: a digest, a reference or an upload's id, as the client wrote it. */
  readonly target: string;
}

/** One method of one endpoint. */
export interface Endpoint {
  readonly need: Need;
  readonly run: (call: Call) => Promise<Reply>;
}
