import { deleteManifest as removeManifest, deleteTag } from "../../registry/delete-manifest.ts";
import type { Registry } from "../../registry/registry.ts";
import type { Endpoint } from "./endpoint.ts";
import { requireReference } from "./require-reference.ts";

/** DELETE /v2/<name>/manifests/<reference> (distribution-spec end-9): a tag alone, or a manifest with all its tags. */
export const deleteManifest = (registry: Registry): Endpoint => ({
  need: "delete",
  async run({ repository, target }) {
    const reference = requireReference(target);
    if (reference.kind === "tag") await deleteTag(registry, repository, reference.tag);
    else await removeManifest(registry, repository, reference.digest);
    return { kind: "empty", status: 202, headers: { "content-length": 0 } };
  },
});
