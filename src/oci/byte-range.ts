/** Bytes `start` to `end`, both included, as HTTP counts them. */
export interface ByteRange {
  readonly start: number;
  readonly end: number;
}

export type RangeRequest =
  | { readonly kind: "whole" }
  | { readonly kind: "unsatisfiable" }
  | { readonly kind: "ranges"; readonly ranges: readonly [ByteRange, ...ByteRange[]] };

/** zstd:chunked clients ask for up to 1024 pieces at once. */
const mostRanges = 1024;
const unit = /^bytes=/i;
const rangeSpec = /^(\d*)-(\d*)$/;

/**
 * Reads a `Range` header (RFC 9110, 14.2) for a body of `size` bytes. Unknown units mean the whole body; bad syntax,
 * too many, unordered or overlapping ranges are unsatisfiable, so that no answer is larger than the body.
 */
export function parseRange(header: string | undefined, size: number): RangeRequest {
  if (header === undefined || !unit.test(header)) return { kind: "whole" };
  const specs = header.slice("bytes=".length).split(",", mostRanges + 1);
  if (specs.length > mostRanges) return { kind: "unsatisfiable" };
  const ranges: ByteRange[] = [];
  for (const spec of specs) {
    const parsed = parseSpec(spec.trim(), size);
    if (parsed === "invalid") return { kind: "unsatisfiable" };
    if (parsed === "beyond") continue;
    const previous = ranges.at(-1);
    if (previous !== undefined && parsed.start <= previous.end) return { kind: "unsatisfiable" };
    ranges.push(parsed);
  }
  const [first, ...more] = ranges;
  return first === undefined ? { kind: "unsatisfiable" } : { kind: "ranges", ranges: [first, ...more] };
}

function parseSpec(spec: string, size: number): ByteRange | "invalid" | "beyond" {
  const match = rangeSpec.exec(spec);
  const [, first = "", last = ""] = match ?? [];
  if (match === null || (first === "" && last === "")) return "invalid";
  if (first === "") {
    const suffix = Number(last);
    return suffix === 0 || size === 0 ? "beyond" : { start: Math.max(0, size - suffix), end: size - 1 };
  }
  const start = Number(first);
  const end = last === "" ? size - 1 : Math.min(Number(last), size - 1);
  if (last !== "" && Number(last) < start) return "invalid";
  return start >= size ? "beyond" : { start, end };
}

export const lengthOf = (range: ByteRange): number => range.end - range.start + 1;

const uploadRange = /^(\d{1,15})-(\d{1,15})$/;

/**
 * Reads the `Content-Range: <start>-<end>` of a chunk (distribution-spec, "Pushing a blob in chunks"): no unit, no
 * total. `undefined` on any other form.
 */
export function parseUploadRange(header: string): ByteRange | undefined {
  const match = uploadRange.exec(header);
  if (match === null) return undefined;
  const range = { start: Number(match[1]), end: Number(match[2]) };
  return range.end < range.start ? undefined : range;
}
