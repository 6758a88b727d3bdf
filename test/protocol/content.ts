import { expect } from "bun:test";
import { createHash, randomBytes } from "node:crypto";
import { locationOf, type Registry, withQuery } from "./registry-client.ts";

export const mediaTypes = {
  image: "application/vnd.oci.image.manifest.v1+json",
  index: "application/vnd.oci.image.index.v1+json",
  dockerImage: "application/vnd.docker.distribution.manifest.v2+json",
  dockerList: "application/vnd.docker.distribution.manifest.list.v2+json",
  config: "application/vnd.oci.image.config.v1+json",
  layer: "application/vnd.oci.image.layer.v1.tar+gzip",
  dockerConfig: "application/vnd.docker.container.image.v1+json",
  dockerLayer: "application/vnd.docker.image.rootfs.diff.tar.gzip",
  empty: "application/vnd.oci.empty.v1+json",
} as const;

export type Algorithm = "sha256" | "sha512";

export interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
  readonly [field: string]: unknown;
}

export interface PushedManifest {
  readonly digest: string;
  readonly bytes: Buffer;
  readonly mediaType: string;
  readonly descriptor: Descriptor;
}

export interface PushedImage extends PushedManifest {
  readonly config: Descriptor;
  readonly layers: readonly Descriptor[];
}

export const digestOf = (bytes: Uint8Array | string, algorithm: Algorithm = "sha256"): string =>
  `${algorithm}:${createHash(algorithm).update(bytes).digest("hex")}`;

/** Well-formed, and never pushed by anyone. */
export const absentDigest = (): string => digestOf(randomBytes(16));

export const describeBytes = (mediaType: string, bytes: Uint8Array, algorithm?: Algorithm): Descriptor => ({
  mediaType,
  digest: digestOf(bytes, algorithm),
  size: bytes.length,
});

export const jsonBytes = (value: unknown): Buffer => Buffer.from(JSON.stringify(value));

export const randomText = (): string => randomBytes(12).toString("hex");

/** An iterable body: sent in chunks, with no length in front. */
export async function* inPieces(...pieces: readonly (Uint8Array | string)[]): AsyncGenerator<Uint8Array> {
  for (const piece of pieces) {
    await Promise.resolve();
    yield typeof piece === "string" ? Buffer.from(piece) : piece;
  }
}

export async function startUpload(registry: Registry, repository: string, query = ""): Promise<string> {
  const answer = await registry.send("POST", `/v2/${repository}/blobs/uploads/${query}`, { body: "" });
  expect(answer.status).toBe(202);
  return locationOf(answer);
}

/** POST, then PUT of the whole. */
export async function pushBlob(registry: Registry, repository: string, bytes: Uint8Array): Promise<string> {
  const digest = digestOf(bytes);
  const location = await startUpload(registry, repository);
  const answer = await registry.send("PUT", withQuery(location, `digest=${digest}`), { body: bytes });
  expect(answer.status).toBe(201);
  return digest;
}

async function pushDescribed(registry: Registry, repository: string, bytes: Uint8Array): Promise<Descriptor> {
  return { mediaType: mediaTypes.layer, digest: await pushBlob(registry, repository, bytes), size: bytes.length };
}

export interface ManifestPush {
  readonly repository: string;
  readonly bytes: Uint8Array;
  readonly mediaType: string;
  /** By digest when absent. */
  readonly tag?: string | undefined;
}

export async function pushManifest(registry: Registry, push: ManifestPush): Promise<PushedManifest> {
  const digest = digestOf(push.bytes);
  const answer = await registry.send("PUT", `/v2/${push.repository}/manifests/${push.tag ?? digest}`, {
    headers: { "Content-Type": push.mediaType },
    body: push.bytes,
  });
  expect(`${String(answer.status)} ${answer.text}`).toBe("201 ");
  const descriptor = { mediaType: push.mediaType, digest, size: push.bytes.length };
  return { digest, bytes: Buffer.from(push.bytes), mediaType: push.mediaType, descriptor };
}

export interface ImagePush {
  readonly tag?: string;
  /** Further fields of the manifest: annotations, subject, artifactType. */
  readonly fields?: Readonly<Record<string, unknown>>;
  readonly layers?: readonly Descriptor[];
}

/** Config and one layer with content of their own, and the manifest that names them. */
export async function pushImage(registry: Registry, repository: string, push: ImagePush = {}): Promise<PushedImage> {
  const configBytes = jsonBytes({ architecture: "amd64", os: "linux", id: randomText() });
  const config = { ...(await pushDescribed(registry, repository, configBytes)), mediaType: mediaTypes.config };
  const layers = push.layers ?? [await pushDescribed(registry, repository, randomBytes(64))];
  const bytes = jsonBytes({ schemaVersion: 2, mediaType: mediaTypes.image, config, layers, ...push.fields });
  const pushed = await pushManifest(registry, { repository, bytes, mediaType: mediaTypes.image, tag: push.tag });
  return { ...pushed, config, layers };
}

/** An index needs no blobs: the cheapest manifest there is. */
export const indexBytes = (manifests: readonly Descriptor[], fields: Readonly<Record<string, unknown>> = {}): Buffer =>
  jsonBytes({ schemaVersion: 2, mediaType: mediaTypes.index, manifests, ...fields });

export interface IndexPush {
  readonly tag?: string;
  readonly manifests?: readonly Descriptor[];
  readonly fields?: Readonly<Record<string, unknown>>;
}

/** An index that differs from every other one. */
export function pushIndex(registry: Registry, repository: string, push: IndexPush = {}): Promise<PushedManifest> {
  const fields = push.fields ?? { annotations: { "example.id": randomText() } };
  const bytes = indexBytes(push.manifests ?? [], fields);
  return pushManifest(registry, { repository, bytes, mediaType: mediaTypes.index, tag: push.tag });
}
