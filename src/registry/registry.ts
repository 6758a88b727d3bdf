import { fail } from "../oci/problem.ts";
import type { Digest } from "../oci/digest.ts";
import type { RepositoryName } from "../oci/names.ts";
import type { Problem } from "../oci/problem.ts";
import type { Visibility } from "../oci/visibility.ts";
import type { BlobStore } from "../platform/blobs/blob-store.ts";
import type { Database, Writer } from "../platform/database/database.ts";
import type { Envelope } from "../platform/events/access-event.ts";
import { type RecordingWriter, writeEvents } from "../platform/events/record-events.ts";
import type { ClockWatch } from "./clock-watch.ts";
import type { VerifiedBytes } from "./sound-blob.ts";
import type { RunningHashes } from "./uploads/running-hashes.ts";
import type { ReadGate, TagChange, WriteRule } from "./ports.ts";

export interface RegistrySettings {
  /** How long a blob that no manifest needs is kept after it was last pushed, mounted, renewed or needed. */
  readonly leaseMs: number;
  /** How long bytes stay after their row has gone: longer than any link to them lives. */
  readonly deleteDelayMs: number;
  /** Whether an index may name manifests that are not in the repository. */
  readonly sparseIndexes: boolean;
  /** Whether an image may name a config or layers that are not. */
  readonly sparseImages: boolean;
  readonly uploads: {
    readonly idleMs: number;
    /** How long a request that writes to a session is believed in without a sign of life. */
    readonly holdMs: number;
    readonly maxBytes: number;
    readonly maxSessions: number;
    readonly maxSessionsPerPrincipal: number;
  };
}

/** What a new repository may have from the beginning. */
export interface Furniture {
  /** Markdown. */
  readonly description?: string;
  readonly labels?: Readonly<Record<string, string>>;
}

/** What every function of the registry works on. */
export interface Registry {
  /** Whose doing it is, for the events of what is changed. */
  readonly by: Envelope;
  /** Names this process among all that write to uploads. */
  readonly process: string;
  readonly database: Database;
  readonly blobs: BlobStore;
  readonly writeRules: readonly WriteRule[];
  /** What a repository is to be that a push makes, by its namespace. Awaits nothing but its own queries. */
  readonly visibilityOfNew: (tx: Writer, name: RepositoryName) => Promise<Visibility>;
  /**
   * Has a repository that this transaction has made what people read of it and its labels: what is given, and else what its
   * namespace says. Awaits nothing but its own queries.
   */
  readonly furnish: (tx: RecordingWriter, name: RepositoryName, given?: Furniture) => Promise<void>;
  readonly readGates: readonly ReadGate[];
  readonly hashes: RunningHashes;
  readonly verified: VerifiedBytes;
  readonly clockWatch: ClockWatch;
  readonly settings: RegistrySettings;
}

/** A change in one transaction, whose events tell whose doing it was. */
export const writeChange = <T>(
  { database, by }: Pick<Registry, "database" | "by">,
  work: (tx: RecordingWriter) => Promise<T>,
): Promise<T> => writeEvents(database, work, by);

/** The registry for one who may not do everything to every tag: what is refused is undone with all that went with it. */
export const withTagRights = (registry: Registry, refuses: (change: TagChange) => Problem | undefined): Registry => ({
  ...registry,
  writeRules: [{ refusesTag: async (_tx, change) => refuses(change) }, ...registry.writeRules],
});

/** @throws RegistryError with the first gate's problem */
export function checkReadGates({ readGates }: Registry, repository: RepositoryName, digest: Digest): void {
  for (const gate of readGates) {
    const problem = gate.refuses(repository, digest);
    if (problem !== undefined) fail(problem);
  }
}

/** @throws RegistryError with the first rule's problem */
export async function checkWriteRules({ writeRules }: Registry, tx: Writer, change: TagChange): Promise<void> {
  for (const rule of writeRules) {
    const problem = await rule.refusesTag(tx, change);
    if (problem !== undefined) fail(problem);
  }
}
