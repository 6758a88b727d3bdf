import type { Registry } from "../../registry/registry.ts";
import { findManifest } from "../../registry/manifests.ts";
import { etagOf } from "./conditional.ts";
import type { Endpoint } from "./endpoint.ts";
import { findableReference } from "./require-reference.ts";

/** GET and HEAD /v2/<name>/manifests/<reference> (distribution-spec end-3): the bytes as they were pushed. */
export const getManifest = (registry: Registry): Endpoint => ({
  need: "pull",
  async run({ repository, target }) {
    const { digest, mediaType, bytes } = await findManifest(registry, repository, findableReference(target));
    const headers = { "docker-content-digest": digest, "content-type": mediaType, etag: etagOf(digest) };
    return { kind: "bytes", status: 200, headers, body: bytes };
  },
});
