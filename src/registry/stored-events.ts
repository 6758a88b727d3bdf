import { parseRepositoryName, parseTag } from "../oci/names.ts";
import type { Visibility } from "../oci/visibility.ts";
import type { Reader } from "../platform/database/database.ts";
import type { RegistryEvent } from "../platform/events/registry-event.ts";
import { storedKey } from "./blobs.ts";
import { asDigest } from "./manifests.ts";

type ManifestStored = Extract<RegistryEvent, { readonly kind: "manifest-stored" }>;

/** An event with all that it takes to have its effect once more: a manifest's bytes, where they are still there. */
export type CompleteEvent = RegistryEvent | (ManifestStored & { readonly bytes: Uint8Array | undefined });

const rowsInPage = 500;
const bytesInPage = 4 * 1024 * 1024;

/**
 * The events that would make the tables as they are, in pages, each table by its key. Nothing is locked: a row that is
 * changed meanwhile is in one state or the other, or absent, and the events of the change make good what is not.
 */
export async function* storedEvents(reader: Reader): AsyncGenerator<readonly CompleteEvent[]> {
  yield* repositories(reader);
  yield* blobs(reader);
  yield* doomedBytes(reader);
  yield* repositoryBlobs(reader);
  yield* manifests(reader);
  yield* repositoryManifests(reader);
  yield* tags(reader);
}

/** Pages until one is not full. */
async function* paged<Row>(
  read: (last: Row | undefined) => Promise<readonly Row[]>,
  toEvent: (row: Row) => CompleteEvent,
): AsyncGenerator<readonly CompleteEvent[]> {
  for (let last: Row | undefined; ;) {
    const rows = await read(last);
    last = rows.at(-1);
    if (last === undefined) return;
    yield rows.map(toEvent);
  }
}

function must<T>(value: T | undefined, text: string): T {
  if (value === undefined) throw new Error(`the database holds a name that is none: ${text}`);
  return value;
}
const nameOf = (text: string) => must(parseRepositoryName(text), text);

const repositories = (reader: Reader) =>
  paged<{ readonly name: string; readonly created_at: number; readonly visibility: Visibility }>(
    (last) =>
      reader
        .selectFrom("repositories")
        .select(["name", "created_at", "visibility"])
        .where("name", ">", last?.name ?? "")
        .orderBy("name")
        .limit(rowsInPage)
        .execute(),
    ({ name, created_at: at, visibility }) => ({
      kind: "repository-created",
      repository: nameOf(name),
      visibility,
      at,
    }),
  );

async function* blobs(reader: Reader): AsyncGenerator<readonly CompleteEvent[]> {
  for (let after = ""; ;) {
    const rows = await reader
      .selectFrom("blobs")
      .selectAll()
      .where("digest", ">", after)
      .orderBy("digest")
      .limit(rowsInPage)
      .execute();
    const last = rows.at(-1);
    if (last === undefined) return;
    after = last.digest;
    const stored = rows.map((row) => ({ ...row, digest: asDigest(row.digest), key: storedKey(row.blob_key) }));
    yield stored.map(({ digest, key, size_bytes: sizeBytes, created_at: at }) => ({
      kind: "blob-stored",
      digest,
      key,
      sizeBytes,
      at,
    }));
    const damaged = stored.filter(({ damaged_at }) => damaged_at !== null);
    if (damaged.length === 0) continue;
    yield damaged.map(({ digest, key, damaged_at: at }) => ({ kind: "blob-withheld", digest, key, at }));
  }
}

const doomedBytes = (reader: Reader) =>
  paged<{ readonly blob_key: string; readonly delete_after: number; readonly state: string | null }>(
    (last) =>
      reader
        .selectFrom("doomed_blobs")
        .selectAll()
        .where("blob_key", ">", last?.blob_key ?? "")
        .orderBy("blob_key")
        .limit(rowsInPage)
        .execute(),
    ({ blob_key, delete_after: deleteAfter, state }) => ({
      kind: "bytes-doomed",
      key: storedKey(blob_key),
      deleteAfter,
      ...(state !== null && { state }),
    }),
  );

interface InRepository {
  readonly repository_id: number;
  readonly name: string;
}

const repositoryBlobs = (reader: Reader) =>
  paged<InRepository & { readonly digest: string }>(
    (last) =>
      reader
        .selectFrom("repository_blobs as held")
        .innerJoin("repositories", "repositories.id", "held.repository_id")
        .select(["held.repository_id", "held.digest", "repositories.name"])
        .$if(last !== undefined, (query) =>
          query.where(({ eb, refTuple, tuple }) =>
            eb(refTuple("held.repository_id", "held.digest"), ">", tuple(last?.repository_id ?? 0, last?.digest ?? "")),
          ),
        )
        .orderBy("held.repository_id")
        .orderBy("held.digest")
        .limit(rowsInPage)
        .execute(),
    ({ name, digest }) => ({ kind: "blob-added", repository: nameOf(name), digest: asDigest(digest) }),
  );

/** Sizes first, so that a page never holds more bytes than one large manifest, or a few small ones. */
async function* manifests(reader: Reader): AsyncGenerator<readonly CompleteEvent[]> {
  for (let after = ""; ;) {
    const sizes = await reader
      .selectFrom("manifests")
      .select(["digest", "size_bytes"])
      .where("digest", ">", after)
      .orderBy("digest")
      .limit(rowsInPage)
      .execute();
    let total = 0;
    const fitting = sizes.filter(({ size_bytes }, index) => (total += size_bytes) <= bytesInPage || index === 0);
    const last = fitting.at(-1);
    if (last === undefined) return;
    const rows = await reader
      .selectFrom("manifests")
      .select(["digest", "media_type", "size_bytes", "bytes"])
      .where("digest", ">", after)
      .where("digest", "<=", last.digest)
      .orderBy("digest")
      .limit(fitting.length)
      .execute();
    yield rows.map(({ digest, media_type: mediaType, size_bytes: sizeBytes, bytes }) => ({
      kind: "manifest-stored",
      digest: asDigest(digest),
      mediaType,
      sizeBytes,
      bytes,
    }));
    after = rows.at(-1)?.digest ?? last.digest;
  }
}

const repositoryManifests = (reader: Reader) =>
  paged<InRepository & { readonly digest: string; readonly pushed_at: number }>(
    (last) =>
      reader
        .selectFrom("repository_manifests as held")
        .innerJoin("repositories", "repositories.id", "held.repository_id")
        .select(["held.repository_id", "held.digest", "held.pushed_at", "repositories.name"])
        .$if(last !== undefined, (query) =>
          query.where(({ eb, refTuple, tuple }) =>
            eb(refTuple("held.repository_id", "held.digest"), ">", tuple(last?.repository_id ?? 0, last?.digest ?? "")),
          ),
        )
        .orderBy("held.repository_id")
        .orderBy("held.digest")
        .limit(rowsInPage)
        .execute(),
    ({ name, digest, pushed_at: at }) => ({
      kind: "manifest-pushed",
      repository: nameOf(name),
      digest: asDigest(digest),
      at,
    }),
  );

interface TagRow extends InRepository {
  readonly tag: string;
  readonly digest: string;
  readonly created_at: number;
  readonly updated_at: number;
}

const tags = (reader: Reader) =>
  paged<TagRow>(
    (last) =>
      reader
        .selectFrom("tags as tag")
        .innerJoin("repositories", "repositories.id", "tag.repository_id")
        .select(["tag.repository_id", "tag.name as tag", "tag.digest", "tag.created_at", "tag.updated_at"])
        .select("repositories.name")
        .$if(last !== undefined, (query) =>
          query.where(({ eb, refTuple, tuple }) =>
            eb(refTuple("tag.repository_id", "tag.name"), ">", tuple(last?.repository_id ?? 0, last?.tag ?? "")),
          ),
        )
        .orderBy("tag.repository_id")
        .orderBy("tag.name")
        .limit(rowsInPage)
        .execute(),
    ({ name, tag, digest, created_at: createdAt, updated_at: at }) => ({
      kind: "tag-created",
      repository: nameOf(name),
      tag: must(parseTag(tag), tag),
      digest: asDigest(digest),
      createdAt,
      at,
    }),
  );
