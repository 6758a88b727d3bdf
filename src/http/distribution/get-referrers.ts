import { largestManifestBytes } from "../../oci/manifest.ts";
import { ociIndex } from "../../oci/media-type.ts";
import type { Incoming } from "../../platform/runtime/http.ts";
import { listReferrers } from "../../registry/referrers.ts";
import type { Registry } from "../../registry/registry.ts";
import type { Endpoint } from "./endpoint.ts";
import { nextLink, pageReply, readLast, readPageSize } from "./paging.ts";
import { requireDigest } from "./require-reference.ts";

const mostReferrers = 10_000;
const mostArtifactTypes = 100;
/** Clients cut an answer off where they cut off a manifest; this is for the index around the descriptors. */
const envelopeBytes = 1024;

/** Clients that look for several kinds ask for each; what has no media type's form names no referrer. */
const readArtifactTypes = ({ query }: Incoming): readonly string[] =>
  query
    .getAll("artifactType")
    .filter((type) => type !== "")
    .slice(0, mostArtifactTypes)
    .map((type) => type.replaceAll("\0", "").toWellFormed());

/** GET and HEAD /v2/<name>/referrers/<digest> (distribution-spec end-12): never 404, never more than a manifest. */
export const getReferrers = (registry: Registry): Endpoint => ({
  need: "pull",
  async run({ request, repository, target }) {
    const subject = requireDigest(target);
    const artifactTypes = readArtifactTypes(request);
    const mostItems = Math.min(readPageSize(request) ?? mostReferrers, mostReferrers);
    const page = await listReferrers(registry, {
      repository,
      subject,
      artifactTypes,
      after: readLast(request),
      mostItems: Math.max(1, mostItems),
      mostBytes: largestManifestBytes - envelopeBytes,
    });
    const last = page.items.at(-1)?.digest;
    const headers = {
      "content-type": ociIndex,
      ...(artifactTypes.length > 0 && { "oci-filters-applied": "artifactType" }),
      ...(!page.isLast && last !== undefined && nextLink(request, { last })),
    };
    return pageReply(headers, { schemaVersion: 2, mediaType: ociIndex, manifests: page.items });
  },
});
