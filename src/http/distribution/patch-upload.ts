import { lengthOf, parseUploadRange } from "../../oci/byte-range.ts";
import { fail } from "../../oci/problem.ts";
import type { Incoming } from "../../platform/runtime/http.ts";
import { appendUpload } from "../../registry/uploads/append-upload.ts";
import { findUpload, type UploadTarget } from "../../registry/uploads/session.ts";
import type { Registry } from "../../registry/registry.ts";
import type { Endpoint } from "./endpoint.ts";
import { chunkOf, uploadHeaders, uploadTarget } from "./upload-replies.ts";

/** PATCH of an upload's location (distribution-spec end-5): a chunk with its range, or a stream without one. */
export const patchUpload = (registry: Registry): Endpoint => ({
  need: "push",
  async run(call) {
    const target = uploadTarget(call);
    const start = await readStart(registry, target, call.request);
    const position = await appendUpload(registry, target, { ...chunkOf(call.request), start });
    return { kind: "empty", status: 202, headers: uploadHeaders(position) };
  },
});

/**
 * The offset at which a chunk means to go on; `undefined` where the client does not say.
 * @throws RegistryError BLOB_UPLOAD_OUT_OF_ORDER, BLOB_UPLOAD_UNKNOWN, SIZE_INVALID
 */
export async function readStart(
  registry: Registry,
  target: UploadTarget,
  { headers, bodyBytes }: Incoming,
): Promise<number | undefined> {
  const header = headers.get("content-range");
  if (header === undefined) return undefined;
  const range = parseUploadRange(header);
  if (range === undefined) {
    const position = await findUpload(registry, target);
    return fail({ code: "BLOB_UPLOAD_OUT_OF_ORDER", position, reason: "Content-Range must be <start>-<end>" });
  }
  if (bodyBytes !== undefined && bodyBytes !== lengthOf(range)) {
    await findUpload(registry, target);
    return fail({ code: "SIZE_INVALID", reason: "Content-Range and Content-Length differ" });
  }
  return range.start;
}
