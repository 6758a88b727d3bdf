import type { Authorize } from "../../access/authorize.ts";
import { fail } from "../../oci/problem.ts";
import { deleteBlob as removeBlob } from "../../registry/blobs.ts";
import type { Registry } from "../../registry/registry.ts";
import { actingFor } from "./acting-for.ts";
import { deniedBy } from "../../access/denied-by.ts";
import type { Endpoint } from "./endpoint.ts";
import { requireDigest } from "./require-reference.ts";

/** DELETE /v2/<name>/blobs/<digest> (distribution-spec end-10). */
export const deleteBlob = (registry: Registry, authorize: Authorize): Endpoint => ({
  need: "delete",
  async run(call) {
    const { caller, repository, target } = call;
    const digest = requireDigest(target);
    // Any image may need it: a right that is limited to some tags is none to it.
    const decision = await authorize(caller, "delete", { kind: "repository", name: repository });
    if (!decision.allowed) fail(deniedBy(decision, false));
    await removeBlob(actingFor(registry, call), repository, digest);
    return { kind: "empty", status: 202, headers: { "content-length": 0 } };
  },
});
