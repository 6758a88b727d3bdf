import type { DocumentName, DocumentStore } from "../../platform/blobs/document-store.ts";
import { type DocumentPlace, nameOf, placeOf } from "./document-names.ts";
import { DamagedDocumentError, readDocument } from "./journal.ts";

type Placed<Kind extends DocumentPlace["kind"]> = Extract<DocumentPlace, { readonly kind: Kind }>;

/** How many finished snapshots are kept: should one be damaged, the other still makes the whole registry. */
const keptSnapshots = 2;

/**
 * Removes what no rebuild would read: older snapshots than the last two that are whole by their index, parts of those
 * that never came to their end, and segments from before the older of the two.
 * @returns how many documents
 */
export async function removeOldDocuments(documents: DocumentStore, registry: string): Promise<number> {
  const places = (await documents.list()).flatMap((name) => placeOf(name) ?? []);
  const of = <Kind extends DocumentPlace["kind"]>(kind: Kind) =>
    places.filter((place): place is Placed<Kind> => place.kind === kind);
  const indexes = of("index").toSorted((a, b) => b.epoch - a.epoch || b.number - a.number);
  const kept: { readonly epoch: number; readonly number: number; readonly from: number }[] = [];
  for (const place of indexes) {
    const from = await fromOf(documents, registry, place);
    if (from !== undefined) kept.push({ ...place, from });
    if (kept.length === keptSnapshots) break;
  }
  const oldest = kept.at(-1);
  if (oldest === undefined || kept.length < keptSnapshots) return 0;
  const isOlder = ({ epoch, number }: { readonly epoch: number; readonly number: number }): boolean =>
    epoch < oldest.epoch || (epoch === oldest.epoch && number < oldest.number);
  const isFinished = new Set(indexes.map(({ epoch, number }) => `${String(epoch)} ${String(number)}`));
  const newest = kept[0] ?? oldest;
  const isLeft = ({ epoch, number }: Placed<"part">): boolean =>
    !isFinished.has(`${String(epoch)} ${String(number)}`) &&
    (epoch < newest.epoch || (epoch === newest.epoch && number < newest.number));
  const segments = of("segment").toSorted((a, b) => a.epoch - b.epoch || a.from - b.from);
  // A segment ends where the next one begins.
  const isCovered = ({ epoch }: Placed<"segment">, index: number): boolean => {
    const next = segments[index + 1];
    return epoch < oldest.epoch || (epoch === oldest.epoch && next?.epoch === epoch && next.from <= oldest.from + 1);
  };
  // An index goes before its parts: never does one name what is not there.
  const rounds: readonly (readonly DocumentName[])[] = [
    indexes.filter(isOlder).map(nameOf),
    of("part")
      .filter((place) => isOlder(place) || isLeft(place))
      .map(nameOf),
    segments.filter(isCovered).map(nameOf),
  ];
  for (const names of rounds) await documents.delete(names);
  return rounds.flat().length;
}

async function fromOf(
  documents: DocumentStore,
  registry: string,
  { epoch, number }: Placed<"index">,
): Promise<number | undefined> {
  try {
    return (await readDocument(documents, registry, { kind: "index", epoch, number })).header.from;
  } catch (error) {
    if (error instanceof DamagedDocumentError) return undefined;
    throw error;
  }
}
