import { createHash } from "node:crypto";
import type { Authorization } from "../../access/authorize.ts";
import { algorithmOf, type Digest, type DigestAlgorithm } from "../../oci/digest.ts";
import { largestManifestBytes, parseManifest } from "../../oci/manifest.ts";
import { parseTag, type Tag } from "../../oci/names.ts";
import { fail } from "../../oci/problem.ts";
import type { Reference } from "../../oci/reference.ts";
import type { Incoming } from "../../platform/runtime/http.ts";
import { pushManifest } from "../../registry/push-manifest.ts";
import { type Registry, withTagRights } from "../../registry/registry.ts";
import { warningHeaders } from "../warning.ts";
import { readPushCondition } from "./conditional.ts";
import { actingFor } from "./acting-for.ts";
import type { Endpoint } from "./endpoint.ts";
import { readWhole } from "./read-whole.ts";
import { refusalOf } from "./tag-refusal.ts";
import { requireDigest, requireReference } from "./require-reference.ts";

const mostTags = 50;

/** PUT /v2/<name>/manifests/<reference> (distribution-spec end-7a and end-7b). */
export const putManifest = (registry: Registry, access: Authorization): Endpoint => ({
  need: "push",
  async run({ request, caller, repository, target }) {
    const reference = requireReference(target);
    const tags = readTags(request, reference);
    const limit = { limitBytes: largestManifestBytes };
    const bytes = await readWhole(request, largestManifestBytes, { code: "MANIFEST_TOO_LARGE", ...limit });
    const digest = checkedDigest(bytes, reference);
    const manifest = parseManifest(bytes, request.headers.get("content-type"));
    const condition = readPushCondition(request);
    const judge = await access.judge(caller, repository);
    const { absent } = await pushManifest(withTagRights(actingFor(registry, { caller, request }), refusalOf(judge)), {
      repository,
      digest,
      bytes,
      manifest,
      tags,
      ...(condition && { condition }),
    });
    return {
      kind: "empty",
      status: 201,
      headers: {
        location: `/v2/${repository}/manifests/${reference.kind === "tag" ? reference.tag : digest}`,
        "docker-content-digest": digest,
        "content-length": 0,
        ...(manifest.subject && { "oci-subject": manifest.subject }),
        ...(reference.kind === "digest" && tags.length > 0 && { "oci-tag": tags }),
        ...warningHeaders(
          absent.length === 0 ? [] : [`${repository} does not have ${listed(absent)}: some pulls will fail`],
        ),
      },
    };
  },
});

const mostListed = 3;

const listed = (digests: readonly Digest[]): string =>
  digests.length <= mostListed
    ? digests.join(", ")
    : `${digests.slice(0, mostListed).join(", ")} and ${digests.length - mostListed} more`;

/** The tag of the path, or those of `?tag=`, which go with a digest alone. */
function readTags({ query }: Incoming, reference: Reference): readonly Tag[] {
  if (reference.kind === "tag") return [reference.tag];
  const given = query.getAll("tag");
  if (given.length > mostTags) fail({ code: "TOO_MANY_TAGS", limit: mostTags });
  return given.map((text) => parseTag(text) ?? fail({ code: "TAG_INVALID", given: text.slice(0, 255) }));
}

/** A push by tag is known by its sha256; a push by digest keeps the algorithm of that digest. */
function checkedDigest(bytes: Uint8Array, reference: Reference): Digest {
  if (reference.kind === "tag") return digestOf(bytes, "sha256");
  const digest = digestOf(bytes, algorithmOf(reference.digest));
  if (digest === reference.digest) return digest;
  return fail({ code: "DIGEST_INVALID", given: reference.digest, reason: `the bytes received are ${digest}` });
}

const digestOf = (bytes: Uint8Array, algorithm: DigestAlgorithm): Digest =>
  requireDigest(`${algorithm}:${createHash(algorithm).update(bytes).digest("hex")}`);
