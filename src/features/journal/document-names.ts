import { type DocumentName, parseDocumentName } from "../../platform/blobs/document-store.ts";

/** What a document of the journal is, by its name alone. */
export type DocumentPlace =
  /** Whose journal it is. */
  | { readonly kind: "identity" }
  | { readonly kind: "segment"; readonly epoch: number; readonly from: number }
  | { readonly kind: "part"; readonly epoch: number; readonly number: number; readonly part: number }
  /** Written last: a snapshot without it never came to its end. */
  | { readonly kind: "index"; readonly epoch: number; readonly number: number };

const pad = (value: number, digits: number): string => String(value).padStart(digits, "0");

export function nameOf(place: DocumentPlace): DocumentName {
  const name = parseDocumentName(textOf(place));
  if (name === undefined) throw new Error(`no document can be called ${textOf(place)}`);
  return name;
}

function textOf(place: DocumentPlace): string {
  switch (place.kind) {
    case "identity":
      return "registry";
    case "segment":
      return `segment-${pad(place.epoch, 6)}-${pad(place.from, 16)}`;
    case "part":
      return `snapshot-${pad(place.epoch, 6)}-${pad(place.number, 6)}-${pad(place.part, 6)}`;
    case "index":
      return `snapshot-${pad(place.epoch, 6)}-${pad(place.number, 6)}-index`;
    default:
      return place satisfies never;
  }
}

/** `undefined` for what no journal has written. */
export function placeOf(name: DocumentName): DocumentPlace | undefined {
  const [, epoch, from] = /^segment-(\d{6})-(\d{16})$/.exec(name) ?? [];
  if (epoch !== undefined && from !== undefined) return { kind: "segment", epoch: Number(epoch), from: Number(from) };
  const [, of, number, part] = /^snapshot-(\d{6})-(\d{6})-(\d{6}|index)$/.exec(name) ?? [];
  if (of !== undefined && number !== undefined) {
    const snapshot = { epoch: Number(of), number: Number(number) };
    return part === "index" ? { kind: "index", ...snapshot } : { kind: "part", ...snapshot, part: Number(part) };
  }
  return name === "registry" ? { kind: "identity" } : undefined;
}
