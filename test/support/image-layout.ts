import { createHash } from "node:crypto";
import { join } from "node:path";

export const sha256 = (bytes: string | Uint8Array): string => createHash("sha256").update(bytes).digest("hex");

/** An image of one layer as an OCI layout; answers the digest of its manifest. */
export async function writeImage(layout: string): Promise<string> {
  const add = async (mediaType: string, bytes: string | Uint8Array) => {
    const hex = sha256(bytes);
    await Bun.write(join(layout, "blobs/sha256", hex), bytes);
    return { mediaType, digest: `sha256:${hex}`, size: Buffer.byteLength(bytes) };
  };
  const tar = new Uint8Array(1024);
  const config = {
    architecture: "amd64",
    os: "linux",
    rootfs: { type: "layers", diff_ids: [`sha256:${sha256(tar)}`] },
  };
  const manifest = {
    schemaVersion: 2,
    mediaType: "application/vnd.oci.image.manifest.v1+json",
    config: await add("application/vnd.oci.image.config.v1+json", JSON.stringify(config)),
    layers: [await add("application/vnd.oci.image.layer.v1.tar+gzip", Bun.gzipSync(tar))],
  };
  const described = await add(manifest.mediaType, JSON.stringify(manifest));
  const annotations = { "org.opencontainers.image.ref.name": "1" };
  await Bun.write(join(layout, "oci-layout"), JSON.stringify({ imageLayoutVersion: "1.0.0" }));
  await Bun.write(
    join(layout, "index.json"),
    JSON.stringify({ schemaVersion: 2, manifests: [{ ...described, annotations }] }),
  );
  return described.digest.slice("sha256:".length);
}
