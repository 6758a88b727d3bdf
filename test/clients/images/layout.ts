import { createHash } from "node:crypto";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { run } from "../run.ts";
import { type TarEntry, tarArchive } from "./tar.ts";

export interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
  readonly platform?: Platform;
  readonly annotations?: Readonly<Record<string, string>>;
}

export interface Platform {
  readonly os: string;
  readonly architecture: string;
}

export interface Layer {
  readonly descriptor: Descriptor;
  /** Digest of the uncompressed archive, as the config names it. */
  readonly diffId: string;
}

/** An OCI image layout on disk that also holds a docker archive's manifest.json, so that every client can read it. */
export interface Layout {
  readonly folder: string;
  /** The tag that the layout's index gives the image. */
  readonly tag: string;
  readonly image: Descriptor;
  readonly layers: readonly Descriptor[];
  readonly config: Descriptor;
}

export const mediaTypes = {
  manifest: "application/vnd.oci.image.manifest.v1+json",
  index: "application/vnd.oci.image.index.v1+json",
  config: "application/vnd.oci.image.config.v1+json",
  layer: "application/vnd.oci.image.layer.v1.tar+gzip",
} as const;

const sha256 = (bytes: Uint8Array | string): string => `sha256:${createHash("sha256").update(bytes).digest("hex")}`;

export const blobPath = (folder: string, digest: string): string => join(folder, "blobs", digest.replace(":", "/"));

async function addBlob(folder: string, mediaType: string, bytes: Uint8Array): Promise<Descriptor> {
  const digest = sha256(bytes);
  await mkdir(join(folder, "blobs/sha256"), { recursive: true });
  await writeFile(blobPath(folder, digest), bytes);
  return { mediaType, digest, size: bytes.byteLength };
}

export async function addJson(folder: string, mediaType: string, value: unknown): Promise<Descriptor> {
  return addBlob(folder, mediaType, Buffer.from(JSON.stringify(value)));
}

export async function addLayer(folder: string, entries: readonly TarEntry[]): Promise<Layer> {
  const archive = tarArchive(entries);
  const descriptor = await addBlob(folder, mediaTypes.layer, gzipSync(archive));
  return { descriptor, diffId: sha256(archive) };
}

/** Config and manifest for these layers. */
export async function addImage(
  folder: string,
  layers: readonly Layer[],
  about: { readonly platform: Platform; readonly command: readonly string[] },
): Promise<{ readonly manifest: Descriptor; readonly config: Descriptor }> {
  const config = await addJson(folder, mediaTypes.config, {
    created: "2024-01-01T00:00:00Z",
    ...about.platform,
    config: { Cmd: about.command, Env: ["PATH=/usr/bin:/bin"] },
    rootfs: { type: "layers", diff_ids: layers.map((layer) => layer.diffId) },
    history: layers.map((_, position) => ({ created: "2024-01-01T00:00:00Z", created_by: `layer ${position}` })),
  });
  const manifest = await addJson(folder, mediaTypes.manifest, {
    schemaVersion: 2,
    mediaType: mediaTypes.manifest,
    config,
    layers: layers.map((layer) => layer.descriptor),
  });
  return { manifest: { ...manifest, platform: about.platform }, config };
}

/** Writes what makes the folder a layout. `name` is what the docker engine and containerd call the image they load. */
export async function writeLayout(
  folder: string,
  image: Descriptor,
  about: { readonly tag: string; readonly name: string; readonly parts: DockerParts },
): Promise<Layout> {
  const { tag, name, parts } = about;
  const annotations = { "org.opencontainers.image.ref.name": tag, "io.containerd.image.name": name };
  const index = { schemaVersion: 2, mediaType: mediaTypes.index, manifests: [{ ...image, annotations }] };
  await writeFile(join(folder, "oci-layout"), JSON.stringify({ imageLayoutVersion: "1.0.0" }));
  await writeFile(join(folder, "index.json"), JSON.stringify(index));
  const inArchive = (descriptor: Descriptor): string => `blobs/${descriptor.digest.replace(":", "/")}`;
  const archive = { Config: inArchive(parts.config), RepoTags: [name], Layers: parts.layers.map(inArchive) };
  await writeFile(join(folder, "manifest.json"), JSON.stringify([archive]));
  return { folder, tag, image, layers: parts.layers, config: parts.config };
}

/** The layout as one file, which `docker load`, `podman load` and `ctr images import` all read. */
export async function archiveLayout(layout: Layout): Promise<string> {
  const archive = `${layout.folder}.tar`;
  await run(["tar", "--create", "--file", archive, "--directory", layout.folder, "."]);
  return archive;
}

interface DockerParts {
  readonly config: Descriptor;
  readonly layers: readonly Descriptor[];
}
