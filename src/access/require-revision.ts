import { fail } from "../oci/problem.ts";

/** Whether it is the one that a change means; `undefined`: whichever it is. @throws RegistryError REVISION_STALE */
export function requireRevision(expected: number | undefined, current: number): void {
  if (expected !== undefined && expected !== current) fail({ code: "REVISION_STALE", current });
}
