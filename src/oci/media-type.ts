import type { Brand } from "./brand.ts";

/** `type/subtype` of RFC 6838, without parameters. */
export type MediaType = Brand<string, "MediaType">;

const mediaType = /^[a-zA-Z0-9][a-zA-Z0-9!#$&^_.+-]{0,126}\/[a-zA-Z0-9][a-zA-Z0-9!#$&^_.+-]{0,126}$/;
const isMediaType = (text: string): text is MediaType => mediaType.test(text);

/** Drops parameters such as `; charset=utf-8`; `undefined` on bad syntax. */
export function parseMediaType(text: string): MediaType | undefined {
  const [essence = ""] = text.split(";", 1);
  const trimmed = essence.trim();
  return isMediaType(trimmed) ? trimmed : undefined;
}

export const ociManifest = "application/vnd.oci.image.manifest.v1+json";
export const ociIndex = "application/vnd.oci.image.index.v1+json";
export const dockerManifest = "application/vnd.docker.distribution.manifest.v2+json";
export const dockerManifestList = "application/vnd.docker.distribution.manifest.list.v2+json";

/** Layers that clients fetch from elsewhere and never push (image-spec, "Non-distributable layers"). */
export const isNonDistributable = (type: string): boolean =>
  type.startsWith("application/vnd.oci.image.layer.nondistributable.v1.") ||
  type === "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip";

/** Of what names manifests for several platforms. */
export const isIndexType = (type: string): boolean => type === ociIndex || type === dockerManifestList;
