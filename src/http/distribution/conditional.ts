import type { Digest } from "../../oci/digest.ts";
import type { Incoming } from "../../platform/runtime/http.ts";
import type { PushCondition } from "../../registry/push-manifest.ts";

/** Entity tags of a header; clients send them quoted, weak or bare. */
const entityTags = (header: string): readonly string[] =>
  header.split(",").map((tag) => tag.trim().replace(/^W\//, "").replaceAll('"', ""));

export const etagOf = (digest: Digest): string => `"${digest}"`;

/** Whether the client has these bytes already (RFC 9110, 13.1.2). */
export function isUnchanged({ headers }: Incoming, digest: Digest): boolean {
  const header = headers.get("if-none-match");
  if (header === undefined) return false;
  const tags = entityTags(header);
  return tags.includes("*") || tags.includes(digest);
}

/** Whether a Range header counts (RFC 9110, 13.1.5): not where the client means other bytes than these,
 * nor where it says so weakly. */
export function rangeCounts({ headers }: Incoming, digest: Digest): boolean {
  const header = headers.get("if-range")?.trim();
  return header === undefined || header === etagOf(digest) || header === digest;
}

/** What must hold for a manifest to be pushed. */
export function readPushCondition({ headers }: Incoming): PushCondition | undefined {
  const absent = headers.get("if-none-match");
  if (absent !== undefined && entityTags(absent).includes("*")) return { kind: "is-absent" };
  const match = headers.get("if-match");
  if (match === undefined) return undefined;
  const digests = entityTags(match);
  return digests.includes("*") ? { kind: "exists" } : { kind: "is-one-of", digests };
}
