import type { Digest } from "../oci/digest.ts";
import type { RepositoryName, Tag } from "../oci/names.ts";
import type { Problem } from "../oci/problem.ts";
import type { Writer } from "../platform/database/database.ts";

/** One tag's way from a digest to another; `undefined` is where it did not exist, or will not. */
export interface TagChange {
  readonly repository: RepositoryName;
  readonly tag: Tag;
  readonly from: Digest | undefined;
  readonly to: Digest | undefined;
}

/**
 * Whether the registry's state allows a change (immutability, naming, quota). It is asked inside the transaction, where
 * the change has just been made: its queries see the state that it judges, and a refusal undoes everything.
 */
export interface WriteRule {
  /** The problem that stands against the change, or `undefined`. Awaits nothing but its own queries. */
  readonly refusesTag: (tx: Writer, change: TagChange) => Promise<Problem | undefined>;
}

/** Whether a digest may leave the registry (scanned, signed): a verdict from a cache, never work on the pull path. */
export interface ReadGate {
  readonly refuses: (repository: RepositoryName, digest: Digest) => Problem | undefined;
}
