import { createCipheriv, createHash, type Hash } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, open, readFile, realpath, rename, stat } from "node:fs/promises";
import { join } from "node:path";
import { crc32 } from "node:zlib";
import { run } from "../run.ts";
import { addImage, addJson, addLayer, blobPath, type Layer, type Layout, mediaTypes, writeLayout } from "./layout.ts";
import { type TarEntry, tarEnd, tarHeader, tarPadding } from "./tar.ts";

export const hostArchitecture = process.arch === "arm64" ? "arm64" : "amd64";
export const otherArchitecture = hostArchitecture === "arm64" ? "amd64" : "arm64";
const host = { os: "linux", architecture: hostArchitecture };

/** What a container of the busybox image prints. */
export const busyboxGreeting = "hello from busybox";
const busyboxCommands = ["sh", "cat", "echo", "ls", "sleep", "true", "sha256sum", "test", "wc", "uname"];

async function addBusyboxLayers(folder: string): Promise<readonly [Layer, Layer]> {
  const programs: readonly TarEntry[] = [
    { path: "bin", kind: "directory" },
    { path: "bin/busybox", mode: 0o755, content: await readFile("/bin/busybox") },
    ...busyboxCommands.map((name): TarEntry => ({ path: `bin/${name}`, kind: "symlink", target: "busybox" })),
    ...["dev", "proc", "sys", "tmp"].map((path): TarEntry => ({ path, kind: "directory" })),
  ];
  const files: readonly TarEntry[] = [
    { path: "etc", kind: "directory" },
    { path: "etc/passwd", content: text("root:x:0:0:root:/:/bin/sh\n") },
    { path: "greeting.txt", content: text(`${busyboxGreeting}\n`) },
  ];
  return [await addLayer(folder, programs), await addLayer(folder, files)];
}

/** Two layers: a static busybox with its links, and a greeting that the command prints. */
export async function makeBusyboxImage(folder: string, name: string): Promise<Layout> {
  const layers = await addBusyboxLayers(folder);
  const { manifest, config } = await addImage(folder, layers, { platform: host, command: ["cat", "/greeting.txt"] });
  return writeLayout(folder, manifest, { tag: "1", name, parts: { config, layers: layers.map(descriptorOf) } });
}

/** What a container of the Debian image prints. */
export const debianOutput = "bash sees: a hard link, and no ghost";

/**
 * The installed bash, the libraries it loads and its package's documents, then a layer with a hard link and one whose
 * whiteout takes a file away again: what real images hold and a busybox image does not.
 */
export async function makeDebianImage(folder: string, name: string): Promise<Layout> {
  const libraries = [...(await run(["ldd", "/bin/bash"])).stdout.matchAll(/(\/\S+) \(0x/g)].map(
    (found) => found[1] ?? "",
  );
  const listed = (await run(["dpkg", "-L", "bash"])).stdout.split("\n");
  const documents = listed.filter((path) => /^\/etc\/bash|\/copyright$|\.gz$/.test(path) && existsSync(path));
  const layers = [
    await addLayer(folder, await withFolders(libraries)),
    await addLayer(folder, await withFolders(["/bin/bash"])),
    await addLayer(folder, await withFolders(documents)),
    await addLayer(folder, [
      { path: "ghost", content: text("boo\n") },
      { path: "original", content: text("a hard link\n") },
      { path: "linked", kind: "hardlink", target: "original" },
    ]),
    await addLayer(folder, [{ path: ".wh.ghost", content: text("") }]),
  ];
  const script = 'read -r text </linked; if [[ ! -e /ghost ]]; then echo "bash sees: $text, and no ghost"; fi';
  const command = ["/bin/bash", "-c", script];
  const { manifest, config } = await addImage(folder, layers, { platform: host, command });
  return writeLayout(folder, manifest, { tag: "1", name, parts: { config, layers: layers.map(descriptorOf) } });
}

async function addForeignImage(folder: string) {
  const layer = await addLayer(folder, [{ path: "elsewhere.txt", content: text(`for ${otherArchitecture}\n`) }]);
  const platform = { os: "linux", architecture: otherArchitecture };
  return { ...(await addImage(folder, [layer], { platform, command: ["/elsewhere"] })), layers: [layer.descriptor] };
}

/** An image that this machine cannot run. */
export async function makeForeignImage(folder: string, name: string): Promise<Layout> {
  const { manifest, ...parts } = await addForeignImage(folder);
  return writeLayout(folder, manifest, { tag: "1", name, parts });
}

/** The busybox image for this machine and, under the same tag, the image for the other architecture. */
export async function makeMultiPlatformIndex(folder: string, name: string): Promise<Layout> {
  const layers = await addBusyboxLayers(folder);
  const here = await addImage(folder, layers, { platform: host, command: ["cat", "/greeting.txt"] });
  const there = await addForeignImage(folder);
  const manifests = [here.manifest, there.manifest];
  const index = await addJson(folder, mediaTypes.index, { schemaVersion: 2, mediaType: mediaTypes.index, manifests });
  const parts = { config: here.config, layers: layers.map(descriptorOf) };
  return writeLayout(folder, index, { tag: "1", name, parts });
}

const largeFileBytes = 800 * 1024 * 1024;

/** One layer of 800 MiB that no compression makes smaller, packed in stored blocks so that making it is cheap. */
export async function makeLargeImage(folder: string, name: string): Promise<Layout> {
  await mkdir(join(folder, "blobs/sha256"), { recursive: true });
  const layer = await writeLargeLayer(folder);
  const small = (await addBusyboxLayers(folder))[0];
  const layers = [small, layer];
  const command = ["wc", "-c", "/large.bin"];
  const { manifest, config } = await addImage(folder, layers, { platform: host, command });
  return writeLayout(folder, manifest, { tag: "1", name, parts: { config, layers: layers.map(descriptorOf) } });
}

async function writeLargeLayer(folder: string): Promise<Layer> {
  const path = join(folder, "large.partial");
  const file = await open(path, "w");
  const compressed = createHash("sha256");
  const archive = createHash("sha256");
  let size = 0;
  const write = async (bytes: Uint8Array, hash: Hash = compressed): Promise<void> => {
    hash.update(bytes);
    await file.write(bytes);
    size += bytes.byteLength;
  };
  try {
    let checksum = 0;
    let archiveBytes = 0;
    await write(gzipHeader);
    for (const piece of largeArchive()) {
      archive.update(piece);
      checksum = crc32(piece, checksum);
      archiveBytes += piece.byteLength;
      for (const block of storedBlocks(piece)) await write(block);
    }
    const trailer = Buffer.alloc(8);
    trailer.writeUInt32LE(checksum, 0);
    trailer.writeUInt32LE(archiveBytes % 2 ** 32, 4);
    await write(Buffer.concat([lastEmptyBlock, trailer]));
  } finally {
    await file.close();
  }
  const digest = `sha256:${compressed.digest("hex")}`;
  await rename(path, blobPath(folder, digest));
  return { descriptor: { mediaType: mediaTypes.layer, digest, size }, diffId: `sha256:${archive.digest("hex")}` };
}

/** AES over zeros with a fixed key: as good as random to a compressor, the same every time, a second for all of it. */
function* largeArchive(): Generator<Uint8Array> {
  yield tarHeader({ path: "large.bin" }, largeFileBytes);
  const cipher = createCipheriv("aes-128-ctr", Buffer.alloc(16, 7), Buffer.alloc(16, 1));
  const zeros = Buffer.alloc(4 * 1024 * 1024);
  for (let made = 0; made < largeFileBytes; made += zeros.byteLength) yield cipher.update(zeros);
  yield tarPadding(largeFileBytes);
  yield tarEnd;
}

const gzipHeader = Buffer.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff]);
const lastEmptyBlock = Buffer.from([1, 0, 0, 0xff, 0xff]);
const storedBlockBytes = 65_535;

function* storedBlocks(piece: Uint8Array): Generator<Uint8Array> {
  for (let start = 0; start < piece.byteLength; start += storedBlockBytes) {
    const part = piece.subarray(start, start + storedBlockBytes);
    const header = Buffer.alloc(5);
    header.writeUInt16LE(part.byteLength, 1);
    header.writeUInt16LE(~part.byteLength & 0xff_ff, 3);
    yield header;
    yield part;
  }
}

/** These files of this machine, behind the folders they are in: some unpackers do not make folders on their own. */
async function withFolders(paths: readonly string[]): Promise<readonly TarEntry[]> {
  const folders = new Set<string>();
  for (const path of paths) {
    const parts = path.split("/").slice(1, -1);
    parts.forEach((_, depth) => folders.add(parts.slice(0, depth + 1).join("/")));
  }
  const files = paths.map(async (path): Promise<TarEntry> => {
    const source = await realpath(path);
    return { path: path.slice(1), mode: (await stat(source)).mode & 0o777, content: await readFile(source) };
  });
  const sorted = [...folders].toSorted();
  return [...sorted.map((path): TarEntry => ({ path, kind: "directory" })), ...(await Promise.all(files))];
}

const text = (value: string): Uint8Array => Buffer.from(value);
const descriptorOf = (layer: Layer) => layer.descriptor;
