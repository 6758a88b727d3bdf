import { algorithmOf } from "../../oci/digest.ts";
import { parseManifest } from "../../oci/manifest.ts";
import { RegistryError } from "../../oci/problem.ts";
import type { Database, Writer } from "../../platform/database/database.ts";
import { inChunks } from "../../platform/database/in-chunks.ts";
import { dropConsumer } from "../../platform/events/consume-events.ts";
import { applyEvents } from "../../registry/apply-events.ts";
import type { Registry } from "../../registry/registry.ts";
import {
  dropDanglingTags,
  dropUnowned,
  emptyRegistry,
  forgetBlobs,
  isRegistryEmpty,
  renewAllLeases,
} from "../../registry/restore.ts";
import type { CompleteEvent } from "../../registry/stored-events.ts";
import { startHash } from "../../registry/uploads/running-hashes.ts";
import { type ChosenJournal, chooseJournal } from "./choose-journal.ts";
import type { DocumentPlace } from "./document-names.ts";
import { consumerName, readDocument } from "./journal.ts";
import { decodeLines } from "./journal-lines.ts";
import { readState } from "./journal-state.ts";
import { missingBlobs } from "./missing-blobs.ts";
import type { RebuildFinding } from "./rebuild-finding.ts";

export type Rebuilt =
  | { readonly kind: "rebuilt"; readonly reached: number; readonly findings: readonly RebuildFinding[] }
  /** There are rows already, or half of them, and nobody said that they may go. */
  | { readonly kind: "not-empty" }
  | { readonly kind: "no-journal"; readonly findings: readonly RebuildFinding[] };

interface RebuildOptions {
  /** Whether rows that are there may go. */
  readonly replace: boolean;
  readonly onProgress: (text: string) => void;
}

/**
 * Makes the registry's rows from the journal and the blobs. It takes up whatever can be proven, and tells what cannot.
 * Until the last row is there, no server starts on them.
 */
export async function rebuild(registry: Registry, { replace, onProgress }: RebuildOptions): Promise<Rebuilt> {
  const { database, blobs } = registry;
  const state = await readState(database.read);
  const isEmpty = state?.rebuilding !== 1 && (await isRegistryEmpty(database.read));
  if (!isEmpty && !replace) return { kind: "not-empty" };
  const { chosen, findings } = await chooseJournal(blobs.documents);
  if (chosen === undefined) return { kind: "no-journal", findings };
  await database.write((tx) => begin(tx, chosen));
  const left = await applyJournal(registry, chosen, onProgress);
  const lost = await missingBlobs(registry);
  const dangling = await database.write((tx) =>
    finish(
      tx,
      registry,
      lost.map(({ digest }) => digest),
    ),
  );
  return { kind: "rebuilt", reached: chosen.reached, findings: [...findings, ...left, ...lost, ...dangling] };
}

/** The state of a registry that has written up to the newest epoch; the next start begins another. */
async function begin(tx: Writer, { registry, newestEpoch }: ChosenJournal): Promise<void> {
  await emptyRegistry(tx);
  await dropConsumer(tx, consumerName);
  await tx.deleteFrom("journal_state").execute();
  await tx
    .insertInto("journal_state")
    .values({
      id: 1,
      registry,
      epoch: newestEpoch,
      last_segment: 0,
      snapshots: 0,
      snapshot_number: 0,
      snapshot_to: 0,
      snapshot_at: 0,
      rebuilding: 1,
    })
    .execute();
}

async function finish(
  tx: Writer,
  { database, settings }: Registry,
  lost: readonly string[],
): Promise<RebuildFinding[]> {
  for (const digests of inChunks(lost)) await forgetBlobs(tx, digests);
  await dropUnowned(tx, database, settings.deleteDelayMs);
  await renewAllLeases(tx, database, settings.leaseMs);
  const dangling = await dropDanglingTags(tx);
  await tx.updateTable("journal_state").set({ rebuilding: 0 }).execute();
  return dangling.map((tag) => ({ kind: "dangling-tag", ...tag }));
}

async function applyJournal(
  { database, blobs: { documents } }: Registry,
  { registry, snapshot, segments }: ChosenJournal,
  onProgress: (text: string) => void,
): Promise<readonly RebuildFinding[]> {
  const { epoch, number, parts } = snapshot;
  const findings = new Map<string, RebuildFinding>();
  const places: readonly DocumentPlace[] = [
    ...Array.from({ length: parts }, (_, part) => ({ kind: "part", epoch, number, part }) as const),
    ...segments.map(({ from }) => ({ kind: "segment", epoch, from }) as const),
  ];
  let done = 0;
  for (const place of places) {
    const { raw } = await readDocument(documents, registry, place);
    const events = [...decodeLines(raw)].flatMap((line) => line.events.flatMap((event) => proven(event, findings)));
    await applyDocument(database, events, findings);
    done += 1;
    onProgress(`${String(done)} of ${String(places.length)} documents`);
  }
  return [...findings.values()];
}

/** A manifest that a repository has without its bytes is missing, unless a later event removes it. */
async function applyDocument(
  database: Database,
  events: readonly CompleteEvent[],
  findings: Map<string, RebuildFinding>,
): Promise<void> {
  const isGone = goneAfter(events);
  for (const key of findings.keys()) if (isGone(key) !== undefined) findings.delete(key);
  const unapplied = await database.write((tx) => applyEvents(database, tx, events));
  for (const { kind, repository, digest } of unapplied) {
    const key = `${repository} ${digest}`;
    // A repository that is not there yet comes with the segments.
    if (kind === "unknown-manifest" && isGone(key) !== true) {
      findings.set(key, { kind: "missing-manifest", repository, digest });
    }
  }
}

/** Whether a repository has a manifest no more, by the last event that says it; `undefined` where none does. */
function goneAfter(events: readonly CompleteEvent[]): (key: string) => boolean | undefined {
  const last = new Map<string, { readonly at: number; readonly isGone: boolean }>();
  for (const [at, event] of events.entries()) {
    if (event.kind === "repository-deleted") last.set(event.repository, { at, isGone: true });
    if (event.kind === "manifest-deleted" || event.kind === "manifest-pushed") {
      last.set(`${event.repository} ${event.digest}`, { at, isGone: event.kind === "manifest-deleted" });
    }
  }
  return (key) => {
    const whole = last.get(key.slice(0, key.indexOf(" ")));
    const own = last.get(key);
    return whole !== undefined && whole.at > (own?.at ?? -1) ? whole.isGone : own?.isGone;
  };
}

/** The event, but of a manifest only what its digest proves and what can be read. */
function proven(event: CompleteEvent, findings: Map<string, RebuildFinding>): CompleteEvent {
  if (event.kind !== "manifest-stored" || !("bytes" in event) || event.bytes === undefined) return event;
  const { digest, bytes, mediaType } = event;
  const reason = reasonAgainst(event, bytes);
  if (reason === undefined) return event;
  findings.set(digest, { kind: "wrong-manifest", digest, reason });
  return { ...event, mediaType, bytes: undefined };
}

function reasonAgainst(
  { digest, mediaType }: Extract<CompleteEvent, { readonly kind: "manifest-stored" }>,
  bytes: Uint8Array,
): string | undefined {
  const hash = startHash(algorithmOf(digest));
  hash.update(bytes);
  if (hash.digest() !== digest) return `has the digest ${hash.digest()}`;
  try {
    parseManifest(bytes, mediaType);
    return undefined;
  } catch (error) {
    if (!(error instanceof RegistryError)) throw error;
    return `cannot be read (${error.problems[0].code})`;
  }
}
