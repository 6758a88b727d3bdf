import { type Digest, parseDigest } from "../../oci/digest.ts";
import { fail } from "../../oci/problem.ts";
import { parseReference, type Reference } from "../../oci/reference.ts";

/** @throws RegistryError DIGEST_INVALID, TAG_INVALID */
export function requireReference(text: string): Reference {
  const reference = parseReference(text);
  if (reference.kind === "bad-digest") return failDigest(text);
  if (reference.kind === "bad-tag") return fail({ code: "TAG_INVALID", given: text.slice(0, 255) });
  return reference;
}

/**
 * To look for a manifest: a name that no tag can have is one that no manifest has.
 * @throws RegistryError DIGEST_INVALID, MANIFEST_UNKNOWN
 */
export function findableReference(text: string): Reference {
  const reference = parseReference(text);
  return reference.kind === "bad-tag"
    ? fail({ code: "MANIFEST_UNKNOWN", reference: text.slice(0, 255) })
    : requireReference(text);
}

/** @throws RegistryError DIGEST_INVALID */
export const requireDigest = (text: string): Digest => parseDigest(text) ?? failDigest(text);

const failDigest = (text: string): never =>
  fail({ code: "DIGEST_INVALID", given: text.slice(0, 255), reason: "not a sha256 or sha512 digest in lower case" });
