import { lengthOf, parseUploadRange } from "../../oci/byte-range.ts";
import type { Digest } from "../../oci/digest.ts";
import type { RepositoryName } from "../../oci/names.ts";
import { fail, type UploadPosition } from "../../oci/problem.ts";
import type { Incoming, Reply, ReplyHeaders } from "../../platform/runtime/http.ts";
import type { Chunk } from "../../registry/uploads/receive.ts";
import type { UploadTarget } from "../../registry/uploads/session.ts";
import type { Caller } from "../../access/principal.ts";
import type { Call } from "./endpoint.ts";

/** Whose session it is: by an id that no other will ever have. */
export const sessionOwner = ({ principal }: Caller): string =>
  principal.kind === "anonymous" ? "anonymous" : `${principal.kind}:${principal.id}`;

const uploadId = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** @throws RegistryError BLOB_UPLOAD_UNKNOWN for what no session is called */
export function uploadTarget({ caller, repository, target }: Call): UploadTarget {
  if (!uploadId.test(target)) return fail({ code: "BLOB_UPLOAD_UNKNOWN" });
  return { repository, principal: sessionOwner(caller), id: target };
}

/** Relative: right behind any proxy, and trusted by clients that distrust other hosts. */
export const uploadLocation = ({ repository, id }: Omit<UploadPosition, "size">): string =>
  `/v2/${repository}/blobs/uploads/${id}`;

/** `0-0` stands for nothing yet on POST and PATCH, where docker wants an end that is not before the start. */
export const uploadHeaders = (position: UploadPosition): ReplyHeaders => ({
  location: uploadLocation(position),
  range: `0-${Math.max(0, position.size - 1)}`,
  "docker-upload-uuid": position.id,
  "content-length": 0,
});

export const blobCreated = (repository: RepositoryName, digest: Digest): Reply => ({
  kind: "empty",
  status: 201,
  headers: {
    location: `/v2/${repository}/blobs/${digest}`,
    "docker-content-digest": digest,
    "content-length": 0,
  },
});

/** A streamed chunk that names its range is as long as that range. */
export function chunkOf({ headers, body, bodyBytes }: Incoming): Chunk {
  const range = parseUploadRange(headers.get("content-range") ?? "");
  return { chunks: body, lengthBytes: bodyBytes ?? (range && lengthOf(range)) };
}
