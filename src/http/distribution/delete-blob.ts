import { deleteBlob as removeBlob } from "../../registry/blobs.ts";
import type { Registry } from "../../registry/registry.ts";
import { actingFor } from "./acting-for.ts";
import type { Endpoint } from "./endpoint.ts";
import { requireDigest } from "./require-reference.ts";

/** DELETE /v2/<name>/blobs/<digest> (distribution-spec end-10). */
export const deleteBlob = (registry: Registry): Endpoint => ({
  need: "delete",
  async run(call) {
    await removeBlob(actingFor(registry, call), call.repository, requireDigest(call.target));
    return { kind: "empty", status: 202, headers: { "content-length": 0 } };
  },
});
