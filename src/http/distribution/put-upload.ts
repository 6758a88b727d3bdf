import type { Registry } from "../../registry/registry.ts";
import { finishUpload } from "../../registry/uploads/finish-upload.ts";
import { actingFor } from "./acting-for.ts";
import type { Endpoint } from "./endpoint.ts";
import { readStart } from "./patch-upload.ts";
import { requireDigest } from "./require-reference.ts";
import { blobCreated, chunkOf, uploadTarget } from "./upload-replies.ts";

/** PUT of an upload's location (distribution-spec end-6): nothing more, the last chunk, or the whole blob. */
export const putUpload = (registry: Registry): Endpoint => ({
  need: "push",
  async run(call) {
    const { request, repository } = call;
    const target = uploadTarget(call);
    const digest = requireDigest(request.query.get("digest") ?? "");
    const start = await readStart(registry, target, request);
    await finishUpload(actingFor(registry, call), target, { ...chunkOf(request), digest, start });
    return blobCreated(repository, digest);
  },
});
