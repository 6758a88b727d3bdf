import type { Authorization } from "../../access/authorize.ts";
import { fail } from "../../oci/problem.ts";
import { deleteManifest as removeManifest, deleteTag } from "../../registry/delete-manifest.ts";
import { actingFor } from "./acting-for.ts";
import { type Registry, withTagRights } from "../../registry/registry.ts";
import { deniedBy } from "../../access/denied-by.ts";
import type { Endpoint } from "./endpoint.ts";
import { requireReference } from "./require-reference.ts";
import { refusalOf } from "./tag-refusal.ts";

/** DELETE /v2/<name>/manifests/<reference> (distribution-spec end-9): a tag alone, or a manifest with all its tags. */
export const deleteManifest = (registry: Registry, { authorize, judge }: Authorization): Endpoint => ({
  need: "delete",
  async run(call) {
    const { caller, repository, target } = call;
    const reference = requireReference(target);
    const ruled = withTagRights(actingFor(registry, call), refusalOf(await judge(caller, repository)));
    if (reference.kind === "tag") await deleteTag(ruled, repository, reference.tag);
    else {
      // Others may need it, and it may have no tag: a right that is limited to some tags is none to it.
      const decision = await authorize(caller, "delete", { kind: "repository", name: repository });
      if (!decision.allowed) fail(deniedBy(decision, false));
      await removeManifest(ruled, repository, reference.digest);
    }
    return { kind: "empty", status: 202, headers: { "content-length": 0 } };
  },
});
