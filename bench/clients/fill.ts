import { mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { ociManifest } from "../../src/oci/media-type.ts";
import type { Started } from "../servers/server.ts";
import { type Body, digestOf, makeBody, type Push } from "./body.ts";
import { pusherOf } from "./push.ts";

/** Everyone may pull from it, on every server. */
export const repository = "library/bench";

export const tagOf = (index: number): string => `tag-${String(index).padStart(6, "0")}`;

export interface Image {
  readonly blobs: readonly Push[];
  readonly manifest: Buffer;
  readonly digest: string;
}

/** An image of random bytes, its config first. */
export function makeImage(config: Body, layers: readonly Body[]): Image {
  const blobs = [config, ...layers].map((body) => ({ push: body.next(), size: body.sizeBytes }));
  const descriptors = blobs.map(({ push, size }, index) => ({
    mediaType: `application/vnd.oci.image.${index === 0 ? "config.v1+json" : "layer.v1.tar+gzip"}`,
    digest: push.digest,
    size,
  }));
  const [first, ...rest] = descriptors;
  const manifest = Buffer.from(
    JSON.stringify({ schemaVersion: 2, mediaType: ociManifest, config: first, layers: rest }),
  );
  return { blobs: blobs.map(({ push }) => push), manifest, digest: digestOf(manifest) };
}

/** A manifest as images of ten layers have it, of some 2 KiB. */
export const ordinaryImage = (): Image =>
  makeImage(
    makeBody(1024),
    Array.from({ length: 10 }, () => makeBody(4096)),
  );

export async function putImage(server: Started, tag: string, image: Image): Promise<void> {
  if (server.files !== undefined) {
    const paths = [`manifests/${tag}`, `manifests/${image.digest}`];
    for (const path of paths) await putFile(server.files, path, [image.manifest]);
    for (const { digest, whole } of image.blobs) await putFile(server.files, `blobs/${digest}`, whole);
    return;
  }
  const pusher = await pusherOf(server);
  for (const blob of image.blobs) await pusher.streamed(repository, blob);
  await pusher.manifest(repository, tag, image.manifest);
  pusher.close();
}

/** The same image under many tags. */
export async function putTags(server: Started, image: Image, count: number): Promise<void> {
  await putImage(server, tagOf(0), image);
  const tags = Array.from({ length: count }, (_, index) => tagOf(index)).values();
  await Promise.all(
    Array.from({ length: 16 }, async () => {
      const pusher = await pusherOf(server);
      for (const tag of tags) await pusher.manifest(repository, tag, image.manifest);
      pusher.close();
    }),
  );
}

/** @returns the path to get the blob by */
export async function putBlob(server: Started, push: Push): Promise<string> {
  if (server.files !== undefined) await putFile(server.files, `blobs/${push.digest}`, push.whole);
  else {
    const pusher = await pusherOf(server);
    await pusher.inOnePut(repository, push);
    pusher.close();
  }
  return `/v2/${repository}/blobs/${push.digest}`;
}

/** What a server of files answers. @returns the path to get it by */
export async function putAnswer({ files }: Started, name: string, text: string): Promise<string> {
  if (files === undefined) throw new Error("only a server of files can be told what to answer");
  await putFile(files, name, [Buffer.from(text)]);
  return `/v2/${repository}/${name}`;
}

async function putFile(folder: string, name: string, parts: readonly Uint8Array[]): Promise<void> {
  const path = join(folder, "v2", repository, name);
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, parts);
}
