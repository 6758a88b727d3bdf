import type { DocumentName, DocumentStore } from "../../platform/blobs/document-store.ts";
import { type DocumentPlace, nameOf, placeOf } from "./document-names.ts";
import type { Frame } from "./frame.ts";
import { DamagedDocumentError, readDocument } from "./journal.ts";
import type { RebuildFinding } from "./rebuild-finding.ts";

type Placed<Kind extends DocumentPlace["kind"]> = Extract<DocumentPlace, { readonly kind: Kind }>;
type Read<Kind extends DocumentPlace["kind"]> = Extract<Frame["header"], { readonly kind: Kind }>;

/** What makes the registry: a snapshot and the segments behind it, each of which was found whole. */
export interface ChosenJournal {
  readonly registry: string;
  /** The highest that the store has, of whatever was chosen. */
  readonly newestEpoch: number;
  readonly snapshot: Read<"index">;
  readonly segments: readonly Read<"segment">[];
  /** Everything up to this change is in it. */
  readonly reached: number;
}

interface Choosing {
  readonly documents: DocumentStore;
  readonly registry: string | undefined;
  readonly places: readonly DocumentPlace[];
  /** By document, so that none is told twice. */
  readonly findings: Map<string, RebuildFinding>;
}

/**
 * The newest state that the store can prove: of the newest snapshot that is whole, with all segments behind it up to the
 * end or to a gap, which is never skipped. A snapshot counts only when the segments reach to where it was finished.
 */
export async function chooseJournal(
  documents: DocumentStore,
): Promise<{ readonly chosen: ChosenJournal | undefined; readonly findings: readonly RebuildFinding[] }> {
  const findings = new Map<string, RebuildFinding>();
  const places = (await documents.list()).flatMap((name) => placed(name, findings));
  const unnamed: Choosing = { documents, registry: undefined, places, findings };
  const identity = await whole(unnamed, { kind: "identity" });
  const choosing: Choosing = { ...unnamed, registry: identity?.registry };
  const newestEpoch = Math.max(0, ...places.map((place) => (place.kind === "identity" ? 0 : place.epoch)));
  const indexes = places
    .filter((place): place is Placed<"index"> => place.kind === "index")
    .toSorted((a, b) => b.epoch - a.epoch || b.number - a.number);
  for (const place of indexes) {
    const snapshot = await whole(choosing, place);
    if (snapshot === undefined || !(await hasAllParts(choosing, snapshot))) continue;
    const { segments, reached } = await follow(choosing, snapshot);
    if (reached < snapshot.to) continue;
    const chosen = { registry: snapshot.registry, newestEpoch, snapshot, segments, reached };
    return { chosen, findings: [...findings.values()] };
  }
  return { chosen: undefined, findings: [...findings.values()] };
}

function placed(name: DocumentName, findings: Map<string, RebuildFinding>): DocumentPlace | [] {
  const place = placeOf(name);
  if (place !== undefined) return place;
  findings.set(name, { kind: "unknown-document", document: name });
  return [];
}

/** The document's header if it is as it was written. */
async function whole<Place extends DocumentPlace>(
  { documents, registry, findings }: Choosing,
  place: Place,
): Promise<Read<Place["kind"]> | undefined> {
  try {
    return (await readDocument(documents, registry, place)).header;
  } catch (error) {
    const reason = reasonOf(error);
    findings.set(nameOf(place), { kind: "damaged-document", document: nameOf(place), reason });
    return undefined;
  }
}

/** A disk that does not give a document back is a fault of that document; anything else is a bug. */
function reasonOf(error: unknown): string {
  if (error instanceof DamagedDocumentError) return error.reason;
  if (error instanceof Error && "code" in error) return `cannot be read (${String(error.code)})`;
  throw error;
}

async function hasAllParts(choosing: Choosing, { epoch, number, parts }: Read<"index">): Promise<boolean> {
  let hasAll = true;
  for (let part = 0; part < parts; part++) {
    if ((await whole(choosing, { kind: "part", epoch, number, part })) === undefined) hasAll = false;
  }
  return hasAll;
}

/** Segments from the one that holds the snapshot's first change on, as long as each begins where the last one ended. */
async function follow(
  choosing: Choosing,
  { epoch, from }: Read<"index">,
): Promise<{ readonly segments: readonly Read<"segment">[]; readonly reached: number }> {
  const all = choosing.places
    .filter((place): place is Placed<"segment"> => place.kind === "segment" && place.epoch === epoch)
    .toSorted((a, b) => a.from - b.from);
  const first = all.findLastIndex((place) => place.from <= from + 1);
  const segments: Read<"segment">[] = [];
  let reached = from;
  for (const place of all.slice(Math.max(0, first))) {
    const expected = segments.length === 0 && place.from <= from + 1 ? place.from : reached + 1;
    const segment = place.from === expected ? await whole(choosing, place) : undefined;
    if (place.from !== expected && segments.every(({ to }) => to < expected)) {
      await whole(choosing, { kind: "segment", epoch, from: expected });
    }
    if (segment === undefined) {
      const behind = all.filter((other) => other.from > reached && !choosing.findings.has(nameOf(other)));
      for (const other of behind) {
        choosing.findings.set(nameOf(other), { kind: "unused-document", document: nameOf(other) });
      }
      break;
    }
    segments.push(segment);
    reached = Math.max(reached, segment.to);
  }
  return { segments, reached };
}
