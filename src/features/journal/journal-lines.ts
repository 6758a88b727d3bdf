import { z } from "zod";
import { parseDigest } from "../../oci/digest.ts";
import { parseRepositoryName, parseTag } from "../../oci/names.ts";
import { visibilities } from "../../oci/visibility.ts";
import { parseBlobKey } from "../../platform/blobs/blob-store.ts";
import type { RegistryEvent } from "../../platform/events/registry-event.ts";
import type { CompleteEvent } from "../../registry/stored-events.ts";
import { FrameError } from "./frame.ts";

/** Events of a change, or of a page of a snapshot, which has neither position nor time. */
export interface JournalLine {
  readonly position: number;
  readonly at: number;
  readonly events: readonly CompleteEvent[];
}

/** A manifest's bytes are written as a text of as many characters: most of them are JSON in ASCII anyway. */
const textOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString("latin1");

export const encodeLine = ({ position, at, events }: JournalLine): string =>
  JSON.stringify({ position, at, events: events.map(encodeEvent) });

function encodeEvent(event: CompleteEvent): unknown {
  if (event.kind !== "manifest-stored" || !("bytes" in event)) return event;
  const { bytes, ...rest } = event;
  return bytes === undefined ? rest : { ...rest, text: textOf(bytes) };
}

function parsed<T>(parse: (text: string) => T | undefined) {
  return z.string().transform((text, context) => {
    const value = parse(text);
    if (value !== undefined) return value;
    context.addIssue({ code: "custom", message: "is none" });
    return z.NEVER;
  });
}

const whole = z.number().int().min(0).max(Number.MAX_SAFE_INTEGER);
const digest = parsed(parseDigest);
const repository = parsed(parseRepositoryName);
const tag = parsed(parseTag);
const key = parsed(parseBlobKey);
const visibility = z.enum(visibilities);

const eventSchema = z.discriminatedUnion("kind", [
  z.object({ kind: z.literal("repository-created"), repository, visibility: visibility.optional(), at: whole }),
  z.object({ kind: z.literal("visibility-changed"), repository, from: visibility, visibility }),
  z.object({ kind: z.literal("repository-deleted"), repository }),
  z.object({ kind: z.literal("blob-stored"), digest, key, sizeBytes: whole, at: whole }),
  z.object({ kind: z.literal("blob-withheld"), digest, key, at: whole.nullable() }),
  z.object({ kind: z.literal("blob-dropped"), digest }),
  z.object({ kind: z.literal("blob-added"), repository, digest }),
  z.object({ kind: z.literal("blob-removed"), repository, digest }),
  z.object({ kind: z.literal("bytes-doomed"), key, deleteAfter: whole, state: z.string().optional() }),
  z.object({ kind: z.literal("bytes-deleted"), key }),
  z.object({
    kind: z.literal("manifest-stored"),
    digest,
    mediaType: z.string().max(255),
    sizeBytes: whole,
    text: z.string().optional(),
  }),
  z.object({ kind: z.literal("manifest-dropped"), digest }),
  z.object({ kind: z.literal("manifest-pushed"), repository, digest, at: whole }),
  z.object({ kind: z.literal("manifest-deleted"), repository, digest }),
  z.object({ kind: z.literal("tag-created"), repository, tag, digest, createdAt: whole, at: whole }),
  z.object({ kind: z.literal("tag-moved"), repository, tag, from: digest, digest, createdAt: whole, at: whole }),
  z.object({ kind: z.literal("tag-deleted"), repository, tag, from: digest }),
]);

/** A version that does not know changes of rights from those of images, beside a newer one, copied both. */
const foreign = z.object({ kind: z.literal("access-changed") });
const lineSchema = z.object({ position: whole, at: whole, events: z.array(z.union([eventSchema, foreign])) });

/** The lines of a document. @throws FrameError */
export function* decodeLines(raw: Buffer): Generator<JournalLine> {
  for (let start = 0; start < raw.byteLength;) {
    const newline = raw.indexOf("\n", start);
    const end = newline === -1 ? raw.byteLength : newline;
    yield decodeLine(raw.subarray(start, end).toString());
    start = end + 1;
  }
}

function decodeLine(text: string): JournalLine {
  const line = lineSchema.safeParse(jsonOf(text));
  if (!line.success) {
    const [issue] = line.error.issues;
    throw new FrameError(`has a line that cannot be read (${issue?.path.join(".") ?? ""} ${issue?.message ?? ""})`);
  }
  return {
    ...line.data,
    events: line.data.events.flatMap((event): CompleteEvent | [] => {
      if (event.kind === "access-changed") return [];
      if (event.kind === "bytes-doomed") {
        const { state, ...doomed } = event;
        return state === undefined ? doomed : { ...doomed, state };
      }
      if (event.kind === "repository-created") {
        const { visibility: shown, ...created } = event;
        return shown === undefined ? created : { ...created, visibility: shown };
      }
      if (event.kind !== "manifest-stored") return event;
      const { text: bytes, ...rest } = event;
      return { ...rest, bytes: bytes === undefined ? undefined : Buffer.from(bytes, "latin1") };
    }),
  };
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** What the outbox had of it: the same on both sides, whether or not a manifest's bytes were still there. */
export const withoutBytes = (events: readonly CompleteEvent[]): readonly RegistryEvent[] =>
  events.map((event) => {
    if (event.kind !== "manifest-stored") return event;
    const { kind, digest: of, mediaType, sizeBytes } = event;
    return { kind, digest: of, mediaType, sizeBytes };
  });
