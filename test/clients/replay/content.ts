import { createCipheriv, createHash } from "node:crypto";

export const sha256 = (bytes: Uint8Array | string): string =>
  `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
export const sha512 = (bytes: Uint8Array | string): string =>
  `sha512:${createHash("sha512").update(bytes).digest("hex")}`;

/** The same bytes for the same seed, and no two pieces of them alike. */
export const bytesOf = (seed: number, length: number): Buffer =>
  createCipheriv("aes-128-ctr", Buffer.alloc(16, seed), Buffer.alloc(16)).update(Buffer.alloc(length));

export const types = {
  manifest: "application/vnd.oci.image.manifest.v1+json",
  index: "application/vnd.oci.image.index.v1+json",
  config: "application/vnd.oci.image.config.v1+json",
  layer: "application/vnd.oci.image.layer.v1.tar+gzip",
  empty: "application/vnd.oci.empty.v1+json",
  dockerManifest: "application/vnd.docker.distribution.manifest.v2+json",
  dockerList: "application/vnd.docker.distribution.manifest.list.v2+json",
} as const;

export interface Part {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
  readonly annotations?: Readonly<Record<string, string>>;
}

export const partOf = (mediaType: string, bytes: Uint8Array): Part => ({
  mediaType,
  digest: sha256(bytes),
  size: bytes.byteLength,
});

/** An OCI image manifest of these parts, as bytes, with whatever else a client writes into it. */
export const manifestOf = (
  config: Part,
  layers: readonly Part[],
  more: Readonly<Record<string, unknown>> = {},
): Buffer => Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: types.manifest, config, layers, ...more }));

/** The empty configuration of artifacts. */
export const emptyJson = Buffer.from("{}");
