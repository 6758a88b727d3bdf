import type { Digest } from "../../src/oci/digest.ts";
import { RegistryError } from "../../src/oci/problem.ts";
import { type Journal, type JournalSettings } from "../../src/features/journal/journal.ts";
import { segmentWriter } from "../../src/features/journal/write-segments.ts";
import { writeSnapshot } from "../../src/features/journal/write-snapshot.ts";
import type { DocumentName } from "../../src/platform/blobs/document-store.ts";
import type { Log } from "../../src/platform/telemetry/log.ts";
import { deleteBlob, mountBlob } from "../../src/registry/blobs.ts";
import { collect } from "../../src/registry/collect.ts";
import { deleteManifest, deleteTag } from "../../src/registry/delete-manifest.ts";
import type { Registry } from "../../src/registry/registry.ts";
import type { Random } from "../hostile/fuzz/random.ts";
import {
  deleteRepository,
  digestOf,
  endLeases,
  imageOf,
  indexOf,
  push,
  repositoryName,
  storeBlob,
  subjectOf,
  tagName,
  type TestManifest,
} from "./registry.ts";

const nothing = (): void => undefined;
const quietLog: Log = {
  debug: nothing,
  info: nothing,
  warn: nothing,
  error: nothing,
  flush: nothing,
  drain: async () => undefined,
  flushSync: nothing,
};

/** Documents so small that a few changes fill one. */
const settings: JournalSettings = { intervalMs: 10, snapshotMs: 1000, mostPending: 10_000, documentBytes: 1000 };

export const journalOf = ({ database, blobs }: Registry, parts: Partial<Journal> = {}): Journal => ({
  database,
  documents: blobs.documents,
  log: quietLog,
  settings,
  ...parts,
});

/** A process that writes the journal. */
export interface TestWriter {
  write(): Promise<void>;
  snapshot(): Promise<void>;
}

export function writerOf(journal: Journal): TestWriter {
  const segments = segmentWriter(journal);
  const run = { signal: new AbortController().signal, progress: nothing };
  return { write: () => segments.write(), snapshot: () => writeSnapshot(journal, segments, run) };
}

/** Everything that a rebuild has to bring back: each table's rows as text, in order, ids replaced by names. */
export async function tablesOf({ database: { read } }: Registry): Promise<Readonly<Record<string, readonly string[]>>> {
  const names = new Map(
    (await read.selectFrom("repositories").select(["id", "name"]).execute()).map(({ id, name }) => [id, name]),
  );
  const textOf = ({ repository_id, ...row }: Readonly<Record<string, unknown>>): string => {
    const values = Object.entries(row)
      .filter(([column]) => column !== "id")
      .map(([column, value]) => [column, value instanceof Uint8Array ? Buffer.from(value).toString("hex") : value]);
    const sorted = values.toSorted(([one], [other]) => (String(one) < String(other) ? -1 : 1));
    return JSON.stringify([repository_id === undefined ? "" : names.get(Number(repository_id)), sorted]);
  };
  const tables: Record<string, readonly string[]> = {};
  for (const table of [
    "repositories",
    "blobs",
    "doomed_blobs",
    "manifests",
    "repository_manifests",
    "edges",
    "tags",
  ] as const) {
    const rows: readonly Readonly<Record<string, unknown>>[] = await read.selectFrom(table).selectAll().execute();
    tables[table] = rows.map(textOf).toSorted();
  }
  // Their leases begin anew.
  const held = await read.selectFrom("repository_blobs").selectAll().execute();
  tables["repository_blobs"] = held
    .map(({ repository_id, digest }) => JSON.stringify([names.get(repository_id), digest]))
    .toSorted();
  return tables;
}

const repositories = [repositoryName("team/one"), repositoryName("team/two"), repositoryName("three")] as const;
const texts = ["config", "a", "b", "c", "d", "e"] as const;
const tags = ["latest", "v1", "v2"] as const;

/** Changes the registry at random; what the registry refuses is no matter. @returns how many changes were made */
export async function changeAtRandom(registry: Registry, random: Random, count: number): Promise<number> {
  let made = 0;
  for (let index = 0; index < count; index++) {
    const [outcome] = await Promise.allSettled([changeOnce(registry, random)]);
    if (outcome.status === "fulfilled") made += 1;
    else if (!(outcome.reason instanceof RegistryError)) throw outcome.reason;
  }
  return made;
}

async function changeOnce(registry: Registry, random: Random): Promise<unknown> {
  const [repository, other] = [random.pick(repositories), random.pick(repositories)];
  const [config, layer] = [digestOf(random.pick(texts)), digestOf(random.pick(texts))];
  const image = imageAtRandom(random, [config, layer]);
  switch (random.int(12)) {
    case 0:
    case 1:
    case 2:
      return storeBlob(registry, repository, random.pick(texts));
    case 3:
      return mountBlob(registry, { repository, digest: layer, sources: [other] });
    case 4:
    case 5:
    case 6:
      return push(registry, repository, { of: image, tags: random.chance(3) ? [] : [random.pick(tags)] });
    case 7:
      return push(registry, repository, { of: indexOf([image.digest]), tags: [random.pick(tags)] });
    case 8:
      return deleteTag(registry, repository, tagName(random.pick(tags)));
    case 9:
      return deleteManifest(registry, repository, image.digest);
    case 10:
      return deleteBlob(registry, repository, layer);
    default:
      if (random.chance(4)) await deleteRepository(registry, repository);
      await endLeases(registry);
      return collect(registry);
  }
}

/** One of few, so that the same is pushed and deleted again and again. */
function imageAtRandom(random: Random, blobs: readonly [Digest, Digest]): TestManifest {
  const subject = random.chance(4) ? subjectOf(digestOf("a subject that need not be")) : {};
  return imageOf(blobs, {
    ...subject,
    annotations: { text: random.pick(["plain", "schön – ü", 'a "quoted" \\ one']) },
  });
}

/** The documents of one kind, by the beginning of their names. */
export const documentsOf = async ({ blobs }: Registry, beginning: string): Promise<readonly DocumentName[]> =>
  (await blobs.documents.list()).filter((name) => name.startsWith(beginning));
