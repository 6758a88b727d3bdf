import type { Selectable } from "kysely";
import type { Digest } from "../oci/digest.ts";
import type { Manifest } from "../oci/manifest.ts";
import type { Tables } from "../platform/database/database.ts";

/** Digest, media types and size of a descriptor have no more than this, even in sha512. */
const descriptorBytes = 1024;

interface ParsedManifest {
  readonly digest: Digest;
  readonly bytes: Uint8Array;
  readonly manifest: Manifest;
}

export type ManifestRow = Selectable<Tables["manifests"]>;

/** What the database keeps of a manifest. */
export function manifestRow({ digest, bytes, manifest }: ParsedManifest): ManifestRow {
  const annotations = manifest.annotations === undefined ? null : JSON.stringify(manifest.annotations);
  return {
    digest,
    media_type: manifest.mediaType,
    bytes,
    size_bytes: bytes.byteLength,
    artifact_type: manifest.artifactType ?? null,
    subject: manifest.subject ?? null,
    annotations,
    descriptor_bytes: descriptorBytes + Buffer.byteLength(annotations ?? ""),
  };
}
