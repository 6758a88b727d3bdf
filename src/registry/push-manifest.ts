import type { Digest } from "../oci/digest.ts";
import type { EdgeKind, Manifest } from "../oci/manifest.ts";
import type { RepositoryName, Tag } from "../oci/names.ts";
import { fail, type Problem } from "../oci/problem.ts";
import { clock } from "../platform/database/clock.ts";
import type { Writer } from "../platform/database/database.ts";
import { inChunks } from "../platform/database/in-chunks.ts";
import { isAmong } from "../platform/database/json-lists.ts";
import { type Given, prepared, type Reading, within } from "../platform/database/prepared.ts";
import { type RecordingWriter, recordEvents } from "../platform/events/record-events.ts";
import type { RegistryEvent } from "../platform/events/registry-event.ts";
import { keepBlobs } from "./blobs.ts";
import { storeEdges } from "./edges.ts";
import { type ManifestRow, manifestRow } from "./manifest-row.ts";
import { asDigest } from "./manifests.ts";
import { checkWriteRules, type Registry, writeChange } from "./registry.ts";
import { ensureRepository } from "./repositories.ts";

export interface ManifestPush {
  readonly repository: RepositoryName;
  readonly digest: Digest;
  readonly bytes: Uint8Array;
  readonly manifest: Manifest;
  /** Every tag that shall name the manifest after this; all of them or none. */
  readonly tags: readonly Tag[];
  readonly condition?: PushCondition;
}

/** `If-Match` and `If-None-Match: *` (RFC 9110, 13.1), as facts. */
export type PushCondition =
  | { readonly kind: "is-one-of"; readonly digests: readonly string[] }
  | { readonly kind: "exists" }
  | { readonly kind: "is-absent" };

export interface PushedManifest {
  /** What the manifest names and the repository does not have, where the settings allow that. */
  readonly absent: readonly Digest[];
}

/**
 * Stores a manifest, its edges and its tags in one transaction.
 * @throws RegistryError MANIFEST_BLOB_UNKNOWN (one a digest), PRECONDITION_FAILED, DENIED, or a write rule's problem
 */
export async function pushManifest(registry: Registry, push: ManifestPush): Promise<PushedManifest> {
  const { database, blobs } = registry;
  await blobs.requireRoom?.();
  return writeChange(registry, async (tx) => {
    // All that it names, also what need not be there: what is there stays, whoever collects meanwhile.
    const named = push.manifest.edges.map(({ digest }) => digest);
    const kept = await keepBlobs(tx, database, named);
    const write = within(tx, database);
    const repositoryId = await ensureRepository(registry, tx, push.repository);
    const [absent, isStored] = await Promise.all([
      checkContent(registry, write, { push, repositoryId, kept }),
      findStored(write, { digest: push.digest, bytes: push.bytes }),
    ]);
    const [, added] = await Promise.all([
      isStored ? undefined : storeManifest(write, { ...manifestRow(push) }),
      addToRepository(write, memberOf(push, repositoryId)),
    ]);
    if (!isStored) recordEvents(tx, manifestStored(push));
    const isNew = recordAdded(tx, push, added);
    if (isNew) await storeEdges(tx, database, { repositoryId, parent: push.digest, manifest: push.manifest, kept });
    if (push.tags.length === 0) checkCondition(push.condition, isNew ? undefined : push.digest);
    await moveTags(registry, tx, { push, repositoryId });
    return { absent };
  });
}

interface InRepository {
  readonly push: ManifestPush;
  readonly repositoryId: number;
}

/**
 * Gives a manifest that is stored its place and its tags, whatever of its content is there: in a transaction that is undone,
 * to learn what stands against it.
 * @throws RegistryError PRECONDITION_FAILED, DENIED, or a write rule's problem
 */
export async function rehearsePush(registry: Registry, tx: RecordingWriter, push: ManifestPush): Promise<void> {
  const repositoryId = await ensureRepository(registry, tx, push.repository);
  await addToRepository(within(tx, registry.database), memberOf(push, repositoryId));
  await moveTags(registry, tx, { push, repositoryId });
}

/** What the manifest needs is in the repository, and stays; of the rest, what is not. */
async function checkContent(
  { settings }: Registry,
  write: Reading,
  { push, repositoryId, kept }: InRepository & { readonly kept: ReadonlySet<string> },
): Promise<readonly Digest[]> {
  const edges = push.manifest.edges.filter(({ kind }) => kind !== "foreign");
  const mayBeAbsent = (kind: EdgeKind): boolean =>
    kind === "content" ? settings.sparseImages : settings.sparseIndexes;
  const needed = new Set(edges.filter(({ kind }) => !mayBeAbsent(kind)).map(({ digest }) => digest));
  const digests = [...new Set(edges.map(({ digest }) => digest))].toSorted();
  const present = new Set<string>();
  for (const some of inChunks(digests)) {
    const blobs = await blobsAmong(write, { repositoryId, digests: JSON.stringify(some) });
    for (const { digest } of blobs) if (kept.has(digest)) present.add(digest);
    // The old BuildKit cache is an index of blobs, and an index's child is a manifest: either is good.
    const others = some.filter((digest) => !present.has(digest));
    if (others.length === 0) continue;
    const manifests = await manifestsAmong(write, { repositoryId, digests: JSON.stringify(others) });
    for (const { digest } of manifests) present.add(digest);
  }
  const absent = digests.filter((digest) => !present.has(digest));
  const [first, ...more] = absent
    .filter((digest) => needed.has(digest))
    .slice(0, mostProblems)
    .map((digest): Problem => ({ code: "MANIFEST_BLOB_UNKNOWN", digest }));
  if (first !== undefined) fail(first, ...more);
  return absent;
}

/** Of one push: no client sends on more layers than these from one answer, and an answer has an end. */
const mostProblems = 1000;

interface Named {
  readonly repositoryId: number;
  /** JSON. */
  readonly digests: string;
}

const among = (table: "repository_blobs" | "repository_manifests") =>
  prepared((read, { repositoryId, digests }: Named & Given, dialect) =>
    read
      .selectFrom(table)
      .select("digest")
      .where("repository_id", "=", repositoryId)
      .where(isAmong(dialect, "digest", digests)),
  );
const blobsAmong = among("repository_blobs");
const manifestsAmong = among("repository_manifests");

interface GivenManifest {
  readonly digest: string;
  readonly bytes: Uint8Array;
}

/** Whether the row is there, with the right bytes; it is locked against its removal elsewhere. */
async function findStored(write: Reading, { digest, bytes }: GivenManifest): Promise<boolean> {
  const [known] = await storedManifest(write, { digest, bytes });
  return Boolean(known?.isRight);
}

const storedManifest = prepared((write, { digest, bytes }: GivenManifest & Given, dialect) =>
  write
    .selectFrom("manifests")
    .select((expression) => expression("bytes", "=", bytes).as("isRight"))
    .where("digest", "=", digest)
    .$if(dialect === "postgres", (query) => query.forKeyShare()),
);

/** A row whose bytes are not right is mended. */
const storeManifest = prepared((write, row: ManifestRow & Given) =>
  write
    .insertInto("manifests")
    .values({
      digest: row.digest,
      media_type: row.media_type,
      bytes: row.bytes,
      size_bytes: row.size_bytes,
      artifact_type: row.artifact_type,
      subject: row.subject,
      annotations: row.annotations,
      descriptor_bytes: row.descriptor_bytes,
    })
    // Two pushes may get here at once: the update that changes nothing waits for the other and locks its row.
    .onConflict((conflict) =>
      conflict.column("digest").doUpdateSet(({ ref }) => ({
        digest: ref("excluded.digest"),
        bytes: ref("excluded.bytes"),
      })),
    ),
);

const manifestStored = ({ digest, bytes, manifest: { mediaType } }: ManifestPush): RegistryEvent => ({
  kind: "manifest-stored",
  digest,
  mediaType,
  sizeBytes: bytes.byteLength,
});

interface NewMember {
  readonly repositoryId: number;
  readonly digest: string;
  readonly subject: string | null;
  readonly artifactType: string | null;
}

const memberOf = ({ digest, manifest }: ManifestPush, repositoryId: number): NewMember & Given => ({
  repositoryId,
  digest,
  subject: manifest.subject ?? null,
  artifactType: manifest.artifactType ?? null,
});

const addToRepository = prepared((write, given: NewMember & Given, dialect) =>
  write
    .insertInto("repository_manifests")
    .values({
      repository_id: given.repositoryId,
      digest: given.digest,
      subject: given.subject,
      artifact_type: given.artifactType,
      pushed_at: clock(dialect),
    })
    .onConflict((conflict) => conflict.columns(["repository_id", "digest"]).doNothing())
    .returning("pushed_at"),
);

/** Whether the repository did not have it before. */
function recordAdded(
  tx: RecordingWriter,
  { repository, digest }: ManifestPush,
  [added]: readonly { readonly pushed_at: number }[],
): boolean {
  if (added === undefined) return false;
  recordEvents(tx, { kind: "manifest-pushed", repository, digest, at: added.pushed_at });
  return true;
}

async function moveTags(registry: Registry, tx: RecordingWriter, { push, repositoryId }: InRepository): Promise<void> {
  for (const tag of [...new Set(push.tags)].toSorted()) {
    const { repository, digest } = push;
    const claimed = await claimTag(registry, tx, { repositoryId, tag, digest });
    const before = claimed.digest;
    checkCondition(push.condition, before);
    if (before === digest) continue;
    const { createdAt } = claimed;
    if (before === undefined) {
      recordEvents(tx, { kind: "tag-created", repository, tag, digest, createdAt, at: claimed.updatedAt });
    } else {
      const [moved] = await moveTag(within(tx, registry.database), { repositoryId, tag, digest });
      if (moved === undefined) throw new Error(`the tag ${tag} has gone while it was locked`);
      const { updated_at: at } = moved;
      recordEvents(tx, { kind: "tag-moved", repository, tag, from: before, digest, createdAt, at });
    }
    await checkWriteRules(registry, tx, { repository, tag, from: before, to: digest });
  }
}

interface TagClaim {
  readonly repositoryId: number;
  readonly tag: Tag;
  readonly digest: Digest;
}

interface NewTag {
  readonly repositoryId: number;
  readonly tag: string;
  readonly digest: string;
}

interface ClaimedTag {
  /** What the tag named before. */
  readonly digest: Digest | undefined;
  readonly createdAt: number;
  readonly updatedAt: number;
}

/** An absent tag is made at once and an existing one locked: of two pushes one comes first. */
async function claimTag({ database }: Registry, tx: Writer, claim: TagClaim): Promise<ClaimedTag> {
  const { repositoryId, tag, digest } = claim;
  const write = within(tx, database);
  for (;;) {
    const [made] = await makeTag(write, { repositoryId, tag, digest });
    if (made !== undefined) return { digest: undefined, createdAt: made.created_at, updatedAt: made.updated_at };
    const [row] = await lockTag(write, { repositoryId, tag });
    if (row !== undefined) {
      return { digest: asDigest(row.digest), createdAt: row.created_at, updatedAt: row.updated_at };
    }
  }
}

const makeTag = prepared((write, { repositoryId, tag, digest }: NewTag & Given, dialect) => {
  const now = clock(dialect);
  return write
    .insertInto("tags")
    .values({ repository_id: repositoryId, name: tag, digest, created_at: now, updated_at: now })
    .onConflict((conflict) => conflict.columns(["repository_id", "name"]).doNothing())
    .returning(["created_at", "updated_at"]);
});

const lockTag = prepared((write, { repositoryId, tag }: Omit<NewTag, "digest"> & Given, dialect) =>
  write
    .selectFrom("tags")
    .select(["digest", "created_at", "updated_at"])
    .where("repository_id", "=", repositoryId)
    .where("name", "=", tag)
    .$if(dialect === "postgres", (query) => query.forUpdate()),
);

const moveTag = prepared((write, { repositoryId, tag, digest }: NewTag & Given, dialect) =>
  write
    .updateTable("tags")
    .set({ digest, updated_at: clock(dialect) })
    .where("repository_id", "=", repositoryId)
    .where("name", "=", tag)
    .returning("updated_at"),
);

function checkCondition(condition: PushCondition | undefined, current: Digest | undefined): void {
  const holds =
    condition === undefined ||
    (condition.kind === "is-absent" && current === undefined) ||
    (condition.kind === "exists" && current !== undefined) ||
    (condition.kind === "is-one-of" && current !== undefined && condition.digests.includes(current));
  if (!holds) fail({ code: "PRECONDITION_FAILED", current });
}
