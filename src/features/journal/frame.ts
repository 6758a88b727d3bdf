import { createHash } from "node:crypto";
import { promisify } from "node:util";
import { gunzip, gzip } from "node:zlib";
import { z } from "zod";

const whole = z.number().int().min(0).max(Number.MAX_SAFE_INTEGER);
const common = { version: whole, registry: z.uuid(), rawBytes: whole, bodyBytes: whole };

const headerSchema = z.discriminatedUnion("kind", [
  z.object({ ...common, kind: z.literal("identity") }),
  z.object({ ...common, kind: z.literal("segment"), epoch: whole, from: whole, to: whole }),
  z.object({ ...common, kind: z.literal("part"), epoch: whole, number: whole, part: whole }),
  z.object({
    ...common,
    kind: z.literal("index"),
    epoch: whole,
    number: whole,
    /** Changes up to here are all in it, those up to `to` may be, and none behind that. */
    from: whole,
    to: whole,
    parts: whole,
  }),
]);

export type FrameHeader = z.infer<typeof headerSchema>;
type WithoutSizes<T> = T extends unknown ? Omit<T, "version" | "rawBytes" | "bodyBytes"> : never;

export interface Frame {
  readonly header: FrameHeader;
  readonly raw: Buffer;
}

/** A document that is not as it was written. The message goes behind its name. */
export class FrameError extends Error {
  override readonly name = "FrameError";
}

const magic = "berth-journal";
const version = 1;
const longestHeaderBytes = 4096;
/** Far above what is ever written into one document. */
export const mostRawBytes = 256 * 1024 * 1024;

const compress = promisify(gzip);
const decompress = promisify(gunzip);

const digestOf = (header: string, body: Uint8Array): string =>
  createHash("sha256").update(`${header}\n`).update(body).digest("hex");

/**
 * A document: one line of text with its digest and what it is, and the content behind it, compressed. The digest is of
 * all that follows it.
 */
export async function encodeFrame(fields: WithoutSizes<FrameHeader>, text: string): Promise<Buffer> {
  const raw = Buffer.from(text);
  const body = await compress(raw);
  const header = JSON.stringify({ version, ...fields, rawBytes: raw.byteLength, bodyBytes: body.byteLength });
  return Buffer.concat([Buffer.from(`${magic} ${digestOf(header, body)} ${header}\n`), body]);
}

/** @throws FrameError */
export async function decodeFrame(bytes: Uint8Array): Promise<Frame> {
  const document = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const end = document.subarray(0, longestHeaderBytes).indexOf("\n");
  const line = document.subarray(0, Math.max(0, end)).toString();
  const [, digest, text] = /^berth-journal ([0-9a-f]{64}) (\{.*\})$/.exec(line) ?? [];
  if (digest === undefined || text === undefined) throw new FrameError("is no document of a journal");
  const body = document.subarray(end + 1);
  const header = parseHeader(text);
  if (header === undefined) throw new FrameError("has a first line that cannot be read");
  if (body.byteLength < header.bodyBytes) {
    throw new FrameError(`is torn: ${body.byteLength} of its ${header.bodyBytes} bytes are there`);
  }
  if (digestOf(text, body) !== digest) throw new FrameError("is altered: its digest is another");
  if (header.version > version) throw new FrameError("was written by a newer Berth; use that version or newer");
  if (header.rawBytes > mostRawBytes) throw new FrameError(`says that it has ${header.rawBytes} bytes`);
  const raw = await decompress(body, { maxOutputLength: Math.max(1, header.rawBytes) }).catch(() => undefined);
  if (raw?.byteLength !== header.rawBytes) throw new FrameError("cannot be decompressed");
  return { header, raw };
}

function parseHeader(text: string): FrameHeader | undefined {
  try {
    return headerSchema.parse(JSON.parse(text));
  } catch {
    return undefined;
  }
}
