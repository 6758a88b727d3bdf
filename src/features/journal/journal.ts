import type { DocumentName, DocumentStore } from "../../platform/blobs/document-store.ts";
import { DocumentUnreadableError } from "../../platform/blobs/document-store.ts";
import type { Database } from "../../platform/database/database.ts";
import type { Log } from "../../platform/telemetry/log.ts";
import { type DocumentPlace, nameOf } from "./document-names.ts";
import { decodeFrame, type Frame, FrameError, mostRawBytes } from "./frame.ts";

/** What the journal's functions work on. */
export interface Journal {
  readonly database: Database;
  readonly documents: DocumentStore;
  readonly log: Log;
  readonly settings: JournalSettings;
}

export interface JournalSettings {
  readonly intervalMs: number;
  readonly snapshotMs: number;
  /** Changes that are kept for the journal while it cannot be written. */
  readonly mostPending: number;
  /** About how much one document holds before it is compressed. */
  readonly documentBytes: number;
}

/** The consumer of events that the journal is. */
export const consumerName = "journal";

/** The store holds the journal of another registry: neither may overwrite it, and none of it is ours. */
export class ForeignJournalError extends Error {
  override readonly name = "ForeignJournalError";
}

/** A document of the journal that is missing, or is not as it was written. */
export class DamagedDocumentError extends Error {
  override readonly name = "DamagedDocumentError";
  readonly document: DocumentName;
  readonly reason: string;
  constructor(document: DocumentName, reason: string) {
    super(`journal/${document} ${reason}`);
    this.document = document;
    this.reason = reason;
  }
}

type FrameAt<Place extends DocumentPlace> = Frame & {
  readonly header: Extract<Frame["header"], { readonly kind: Place["kind"] }>;
};

/**
 * Reads a document and makes sure that it is what its name says, and of this registry.
 * @throws DamagedDocumentError
 */
export async function readDocument<Place extends DocumentPlace>(
  documents: DocumentStore,
  registry: string | undefined,
  place: Place,
): Promise<FrameAt<Place>> {
  const name = nameOf(place);
  try {
    const bytes = await documents.get(name, mostRawBytes);
    if (bytes === undefined) throw new FrameError("is missing");
    const frame = await decodeFrame(bytes);
    if (registry !== undefined && frame.header.registry !== registry) {
      throw new FrameError(`belongs to another registry (${frame.header.registry})`);
    }
    if (!isAt(frame, place)) throw new FrameError("is a document of another name");
    return frame;
  } catch (error) {
    if (error instanceof FrameError || error instanceof DocumentUnreadableError) {
      throw new DamagedDocumentError(name, error.message);
    }
    throw error;
  }
}

function isAt<Place extends DocumentPlace>(frame: Frame, place: Place): frame is FrameAt<Place> {
  const header: Readonly<Record<string, unknown>> = frame.header;
  return Object.entries(place).every(([field, value]) => header[field] === value);
}
