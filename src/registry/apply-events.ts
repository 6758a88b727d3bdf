import { type Manifest, parseManifest } from "../oci/manifest.ts";
import type { Digest } from "../oci/digest.ts";
import type { RepositoryName } from "../oci/names.ts";
import type { Visibility } from "../oci/visibility.ts";
import type { Database, Writer } from "../platform/database/database.ts";
import { inChunks } from "../platform/database/in-chunks.ts";
import { storeEdges } from "./edges.ts";
import { manifestRow } from "./manifest-row.ts";
import type { CompleteEvent } from "./stored-events.ts";

type EventOf<Kind extends CompleteEvent["kind"]> = Extract<CompleteEvent, { readonly kind: Kind }>;

/** An event that could not have its effect: what it needs is not there. */
export interface Unapplied {
  readonly kind: "unknown-repository" | "unknown-manifest";
  readonly repository: RepositoryName;
  readonly digest: Digest;
}

interface Applying {
  readonly tx: Writer;
  readonly database: Database;
  /** Ids of the repositories that were met so far. */
  readonly ids: Map<string, number>;
  readonly unapplied: Unapplied[];
}

/**
 * Gives events their effect on the tables, in their order. Having it twice is having it once, so what a row is in the
 * end depends on its last event alone. Leases are for `renewAllLeases`.
 */
export async function applyEvents(
  database: Database,
  tx: Writer,
  events: readonly CompleteEvent[],
): Promise<readonly Unapplied[]> {
  const applying: Applying = { tx, database, ids: new Map(), unapplied: [] };
  for (const run of runsOf(events)) {
    for (const some of inChunks(run)) await applyRun(applying, some);
  }
  return applying.unapplied;
}

/** Events of one kind that follow each other: the bulk of them goes in a statement each. */
function runsOf(events: readonly CompleteEvent[]): readonly CompleteEvent[][] {
  const runs: CompleteEvent[][] = [];
  for (const event of events) {
    const run = runs.at(-1);
    if (run?.[0]?.kind === event.kind) run.push(event);
    else runs.push([event]);
  }
  return runs;
}

/** Only the last of those that write the same row: one statement writes none twice. */
const lastOf = <T>(events: readonly T[], key: (event: T) => string): readonly T[] => [
  ...new Map(events.map((event) => [key(event), event])).values(),
];

async function applyRun(applying: Applying, run: readonly CompleteEvent[]): Promise<void> {
  const kind = run[0]?.kind;
  if (kind === undefined) return;
  const handler = handlers[kind];
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- a run has one kind, and its handler takes that
  await (handler as (applying: Applying, run: readonly CompleteEvent[]) => Promise<void>)(applying, run);
}

const handlers: {
  readonly [Kind in CompleteEvent["kind"]]: (applying: Applying, run: readonly EventOf<Kind>[]) => Promise<void>;
} = {
  async "repository-created"({ tx }, run) {
    const values = lastOf(run, ({ repository }) => repository).map(({ repository: name, visibility, at }) => ({
      name,
      visibility: visibility ?? visibilityBefore(name),
      created_at: at,
    }));
    await tx
      .insertInto("repositories")
      .values(values)
      .onConflict((conflict) =>
        conflict.column("name").doUpdateSet(({ ref }) => ({
          created_at: ref("excluded.created_at"),
          visibility: ref("excluded.visibility"),
        })),
      )
      .execute();
  },
  async "visibility-changed"({ tx }, run) {
    for (const { repository, visibility } of run) {
      await tx.updateTable("repositories").set({ visibility }).where("name", "=", repository).execute();
    }
  },
  async "repository-deleted"({ tx, ids }, run) {
    for (const { repository } of run) {
      const gone = await tx.deleteFrom("repositories").where("name", "=", repository).returning("id").execute();
      for (const { id } of gone) {
        for (const table of ["tags", "edges", "repository_manifests", "repository_blobs"] as const) {
          await tx.deleteFrom(table).where("repository_id", "=", id).execute();
        }
      }
      ids.delete(repository);
    }
  },
  async "blob-stored"({ tx }, run) {
    const values = lastOf(run, ({ digest }) => digest).map(({ digest, key, sizeBytes, at }) => ({
      digest,
      blob_key: key,
      size_bytes: sizeBytes,
      created_at: at,
    }));
    await tx
      .insertInto("blobs")
      .values(values)
      .onConflict((conflict) =>
        conflict.column("digest").doUpdateSet(({ ref }) => ({
          blob_key: ref("excluded.blob_key"),
          size_bytes: ref("excluded.size_bytes"),
          created_at: ref("excluded.created_at"),
          damaged_at: null,
        })),
      )
      .execute();
  },
  async "blob-withheld"({ tx }, run) {
    for (const { digest, key, at } of run) {
      await tx
        .updateTable("blobs")
        .set({ damaged_at: at })
        .where("digest", "=", digest)
        .where("blob_key", "=", key)
        .execute();
    }
  },
  async "blob-dropped"({ tx }, run) {
    await tx
      .deleteFrom("blobs")
      .where(
        "digest",
        "in",
        run.map(({ digest }) => digest),
      )
      .execute();
  },
  async "blob-added"(applying, run) {
    const rows = await withIds(
      applying,
      lastOf(run, ({ repository, digest }) => `${repository} ${digest}`),
    );
    if (rows.length === 0) return;
    await applying.tx
      .insertInto("repository_blobs")
      .values(rows.map(({ id, event: { digest } }) => ({ repository_id: id, digest, leased_until: 0 })))
      .onConflict((conflict) => conflict.columns(["repository_id", "digest"]).doNothing())
      .execute();
  },
  async "blob-removed"(applying, run) {
    for (const { id, event } of await withIds(applying, run)) {
      await applying.tx
        .deleteFrom("repository_blobs")
        .where("repository_id", "=", id)
        .where("digest", "=", event.digest)
        .execute();
    }
  },
  async "bytes-doomed"({ tx }, run) {
    const values = lastOf(run, ({ key }) => key).map(({ key, state, deleteAfter }) => ({
      blob_key: key,
      state: state ?? null,
      delete_after: deleteAfter,
    }));
    await tx
      .insertInto("doomed_blobs")
      .values(values)
      .onConflict((conflict) =>
        conflict.column("blob_key").doUpdateSet(({ ref }) => ({ delete_after: ref("excluded.delete_after") })),
      )
      .execute();
  },
  async "bytes-deleted"({ tx }, run) {
    await tx
      .deleteFrom("doomed_blobs")
      .where(
        "blob_key",
        "in",
        run.map(({ key }) => key),
      )
      .execute();
  },
  async "manifest-stored"({ tx }, run) {
    for (const event of run) {
      // Bytes that were gone when the event was copied: what follows removes the manifest.
      if (!("bytes" in event) || event.bytes === undefined) continue;
      const { digest, mediaType, bytes } = event;
      await tx
        .insertInto("manifests")
        .values(manifestRow({ digest, bytes, manifest: parseManifest(bytes, mediaType) }))
        .onConflict((conflict) => conflict.column("digest").doNothing())
        .execute();
    }
  },
  async "manifest-dropped"({ tx }, run) {
    await tx
      .deleteFrom("manifests")
      .where(
        "digest",
        "in",
        run.map(({ digest }) => digest),
      )
      .execute();
  },
  async "manifest-pushed"(applying, run) {
    for (const { id, event } of await withIds(applying, run)) await addManifest(applying, id, event);
  },
  async "manifest-deleted"(applying, run) {
    for (const { id, event } of await withIds(applying, run)) {
      const { tx } = applying;
      await tx
        .deleteFrom("repository_manifests")
        .where("repository_id", "=", id)
        .where("digest", "=", event.digest)
        .execute();
      await tx.deleteFrom("edges").where("repository_id", "=", id).where("parent", "=", event.digest).execute();
    }
  },
  "tag-created": setTags,
  "tag-moved": setTags,
  async "tag-deleted"(applying, run) {
    for (const { id, event } of await withIds(
      applying,
      run.map((one) => ({ ...one, digest: one.from })),
    )) {
      await applying.tx.deleteFrom("tags").where("repository_id", "=", id).where("name", "=", event.tag).execute();
    }
  },
};

/** What it was while nobody could say it. */
const visibilityBefore = (name: RepositoryName): Visibility => (name.startsWith("library/") ? "public" : "private");

async function setTags(
  applying: Applying,
  run: readonly (EventOf<"tag-created"> | EventOf<"tag-moved">)[],
): Promise<void> {
  const rows = await withIds(
    applying,
    lastOf(run, ({ repository, tag }) => `${repository} ${tag}`),
  );
  if (rows.length === 0) return;
  const values = rows.map(({ id, event: { tag, digest, createdAt, at } }) => ({
    repository_id: id,
    name: tag,
    digest,
    created_at: createdAt,
    updated_at: at,
  }));
  await applying.tx
    .insertInto("tags")
    .values(values)
    .onConflict((conflict) =>
      conflict.columns(["repository_id", "name"]).doUpdateSet(({ ref }) => ({
        digest: ref("excluded.digest"),
        created_at: ref("excluded.created_at"),
        updated_at: ref("excluded.updated_at"),
      })),
    )
    .execute();
}

async function addManifest(
  { tx, database, unapplied }: Applying,
  repositoryId: number,
  { repository, digest, at }: EventOf<"manifest-pushed">,
): Promise<void> {
  const row = await tx
    .selectFrom("manifests")
    .select(["media_type", "bytes"])
    .where("digest", "=", digest)
    .executeTakeFirst();
  if (row === undefined) {
    unapplied.push({ kind: "unknown-manifest", repository, digest });
    return;
  }
  const manifest: Manifest = parseManifest(row.bytes, row.media_type);
  await tx
    .insertInto("repository_manifests")
    .values({
      repository_id: repositoryId,
      digest,
      subject: manifest.subject ?? null,
      artifact_type: manifest.artifactType ?? null,
      pushed_at: at,
    })
    .onConflict((conflict) => conflict.columns(["repository_id", "digest"]).doUpdateSet({ pushed_at: at }))
    .execute();
  // No lease is touched here: in the end `renewAllLeases` gives each its own.
  await storeEdges(tx, database, { repositoryId, parent: digest, manifest, kept: new Set() });
}

interface InRepository {
  readonly repository: RepositoryName;
  readonly digest: Digest;
}

/** The events with their repositories' ids; those of a repository that is not there yet are left out, and told. */
async function withIds<T extends InRepository>(
  { tx, ids, unapplied }: Applying,
  events: readonly T[],
): Promise<readonly { readonly id: number; readonly event: T }[]> {
  const unknown = [...new Set(events.map(({ repository }) => repository))].filter((name) => !ids.has(name));
  for (const names of inChunks(unknown)) {
    const rows = await tx.selectFrom("repositories").select(["id", "name"]).where("name", "in", names).execute();
    for (const { id, name } of rows) ids.set(name, id);
  }
  return events.flatMap((event) => {
    const id = ids.get(event.repository);
    if (id !== undefined) return { id, event };
    unapplied.push({ kind: "unknown-repository", repository: event.repository, digest: event.digest });
    return [];
  });
}
