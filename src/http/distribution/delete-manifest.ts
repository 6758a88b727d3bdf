import { deleteManifest as removeManifest, deleteTag } from "../../registry/delete-manifest.ts";
import type { Registry } from "../../registry/registry.ts";
import { actingFor } from "./acting-for.ts";
import type { Endpoint } from "./endpoint.ts";
import { requireReference } from "./require-reference.ts";

/** DELETE /v2/<name>/manifests/<reference> (distribution-spec end-9): a tag alone, or a manifest with all its tags. */
export const deleteManifest = (registry: Registry): Endpoint => ({
  need: "delete",
  async run(call) {
    const reference = requireReference(call.target);
    const acting = actingFor(registry, call);
    if (reference.kind === "tag") await deleteTag(acting, call.repository, reference.tag);
    else await removeManifest(acting, call.repository, reference.digest);
    return { kind: "empty", status: 202, headers: { "content-length": 0 } };
  },
});
