import type { Authorize } from "../../access/authorize.ts";
import { type ByteRange, lengthOf, parseRange } from "../../oci/byte-range.ts";
import { fail } from "../../oci/problem.ts";
import type { BlobStore, OpenedBlob } from "../../platform/blobs/blob-store.ts";
import type { Reply, ReplyHeaders } from "../../platform/runtime/http.ts";
import { findBlob, renewLease, type StoredBlob } from "../../registry/blobs.ts";
import type { Registry } from "../../registry/registry.ts";
import { requireWhole } from "../../registry/sound-blob.ts";
import { etagOf, isUnchanged, rangeCounts } from "./conditional.ts";
import type { Endpoint } from "./endpoint.ts";
import { multipartBody } from "./multipart-ranges.ts";
import { requireDigest } from "./require-reference.ts";

/** Content never changes under its digest. */
const cacheControl = "max-age=31536000";
/** Longer than a client takes to follow; a link is as good as the bytes to whoever has it. */
const linkSeconds = 20 * 60;

/** GET and HEAD /v2/<name>/blobs/<digest> (distribution-spec end-2). */
export const getBlob = (registry: Registry, authorize: Authorize): Endpoint => ({
  need: "pull",
  async run({ request, caller, repository, target }) {
    const digest = requireDigest(target);
    const blob = await findBlob(registry, repository, digest);
    const about = {
      "docker-content-digest": digest,
      "content-type": "application/octet-stream",
      "content-disposition": "attachment",
      "accept-ranges": "bytes",
      etag: etagOf(digest),
      "cache-control": cacheControl,
    };
    if (request.method === "HEAD") {
      // Before anything promises that the blob need not be pushed.
      await requireWhole(registry, blob);
      const some = { kind: "repository", name: repository, tag: { some: true } } as const;
      if ((await authorize(caller, "create", some)).allowed) await renewLease(registry, repository, digest);
    }
    if (isUnchanged(request, digest)) return { kind: "empty", status: 304, headers: about };
    const wanted = rangeCounts(request, digest) ? request.headers.get("range") : undefined;
    const range = parseRange(wanted, blob.sizeBytes);
    if (range.kind === "unsatisfiable") return fail({ code: "RANGE_UNSATISFIABLE", sizeBytes: blob.sizeBytes });
    if (request.method === "HEAD") return headReply(about, blob, range.kind === "ranges" ? range.ranges : []);
    const url = await registry.blobs.presign?.(blob.key, linkSeconds);
    if (url !== undefined) return { kind: "empty", status: 307, headers: { ...about, location: url.href } };
    if (range.kind === "whole") return wholeReply(registry.blobs, about, blob);
    if (range.ranges.length > 1) {
      await requireWhole(registry, blob);
      return multipartBody(registry.blobs, blob, { about, ranges: range.ranges });
    }
    return partReply(registry.blobs, blob, { about, range: range.ranges[0] });
  },
});

const contentRange = (range: ByteRange, { sizeBytes }: StoredBlob): string =>
  `bytes ${range.start}-${range.end}/${sizeBytes}`;

/** As GET would answer, without the bytes. */
function headReply(about: ReplyHeaders, blob: StoredBlob, [range, ...more]: readonly ByteRange[]): Reply {
  if (range === undefined || more.length > 0) {
    return { kind: "empty", status: 200, headers: { ...about, "content-length": blob.sizeBytes } };
  }
  const headers = { ...about, "content-length": lengthOf(range), "content-range": contentRange(range, blob) };
  return { kind: "empty", status: 206, headers };
}

async function wholeReply(blobs: BlobStore, about: ReplyHeaders, blob: StoredBlob): Promise<Reply> {
  const body = await openWhole(blobs, blob);
  return { kind: "blob", status: 200, headers: { ...about, "content-length": blob.sizeBytes }, body };
}

async function partReply(
  blobs: BlobStore,
  blob: StoredBlob,
  { about, range }: { readonly about: ReplyHeaders; readonly range: ByteRange },
): Promise<Reply> {
  const body = await openWhole(blobs, blob, range);
  const headers = { ...about, "content-length": lengthOf(range), "content-range": contentRange(range, blob) };
  return { kind: "blob", status: 206, headers, body };
}

async function openWhole(
  blobs: BlobStore,
  { digest, key, sizeBytes }: StoredBlob,
  range?: ByteRange,
): Promise<OpenedBlob> {
  const opened = await blobs.open(key, range);
  return opened?.blobBytes === sizeBytes ? opened : fail({ code: "BLOB_DAMAGED", digest });
}
