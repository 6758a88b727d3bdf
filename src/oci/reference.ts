import { type Digest, parseDigest } from "./digest.ts";
import { parseTag, type Tag } from "./names.ts";

/** What follows `manifests/` in a URL. A colon never occurs in a tag, so it tells the two apart. */
export type Reference =
  | { readonly kind: "tag"; readonly tag: Tag }
  | { readonly kind: "digest"; readonly digest: Digest };

export type ParsedReference = Reference | { readonly kind: "bad-digest" } | { readonly kind: "bad-tag" };

export function parseReference(text: string): ParsedReference {
  if (text.includes(":")) {
    const digest = parseDigest(text);
    return digest === undefined ? { kind: "bad-digest" } : { kind: "digest", digest };
  }
  const tag = parseTag(text);
  return tag === undefined ? { kind: "bad-tag" } : { kind: "tag", tag };
}
