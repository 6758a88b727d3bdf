import type { JsonObject } from "../../oci/json.ts";
import type { Envelope } from "../../platform/events/access-event.ts";

/** Something that is to be remembered of somebody. */
export interface Entry {
  /** Milliseconds since 1970. */
  readonly at: number;
  readonly action: string;
  readonly outcome: "done" | "refused";
  readonly by: Envelope;
  readonly repository?: string | undefined;
  readonly target?: string | undefined;
  readonly times?: number;
  readonly detail?: JsonObject;
}
