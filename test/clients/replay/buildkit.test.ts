import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { bytesOf, emptyJson, manifestOf, partOf, sha256, types } from "./content.ts";
import { finishAt, needed, openWire, type Reply, seedBlob, tokenByGet, type Wire } from "./wire.ts";

setDefaultTimeout(60_000);

const octets = { "content-type": "application/octet-stream" };
const cacheConfig = "application/vnd.buildkit.cacheconfig.v0";

describe("BuildKit 0.25", () => {
  let wire: Wire;
  const layers = [bytesOf(1, 5000), bytesOf(2, 6000)];
  const config = Buffer.from(JSON.stringify({ layers: [{ blob: sha256(layers[0] ?? ""), parent: -1 }], records: [] }));

  beforeAll(async () => {
    wire = await openWire({ userAgent: "buildkit/v0.25", getToken: tokenByGet() });
    for (const blob of [...layers, config]) await push("team/cache", blob);
  });

  afterAll(async () => {
    await wire?.[Symbol.asyncDispose]();
  });

  async function push(repository: string, blob: Uint8Array): Promise<void> {
    const opened = await wire.send({ method: "POST", path: `/v2/${repository}/blobs/uploads/` });
    const path = finishAt(opened, wire, sha256(blob));
    expect((await wire.send({ method: "PUT", path, headers: octets, body: blob })).status).toBe(201);
  }

  async function pushAndRead(reference: string, contentType: string, body: Buffer): Promise<Reply> {
    const path = `/v2/team/cache/manifests/${reference}`;
    const put = await wire.send({ method: "PUT", path, headers: { "content-type": contentType }, body });
    expect(put.status).toBe(201);
    expect(needed(put, "docker-content-digest")).toBe(sha256(body));
    const read = await wire.send({ method: "GET", path, headers: { accept: `${contentType}, */*` } });
    expect(read.status).toBe(200);
    expect(needed(read, "content-type")).toBe(contentType);
    expect(read.body.equals(body)).toBe(true);
    return read;
  }

  for (const [name, indexType, layerType] of [
    ["OCI index", types.index, types.layer],
    ["docker manifest list", types.dockerList, "application/vnd.docker.image.rootfs.diff.tar.gzip"],
  ] as const) {
    test(`exports a cache as an ${name} whose children are layer blobs without a platform`, async () => {
      const children = [...layers.map((layer) => partOf(layerType, layer)), partOf(cacheConfig, config)];
      const body = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: indexType, manifests: children }));
      await pushAndRead(name.startsWith("OCI") ? "oci-cache" : "docker-cache", indexType, body);
      for (const child of children) {
        const blob = await wire.send({ method: "GET", path: `/v2/team/cache/blobs/${child.digest}` });
        expect(blob.status).toBe(200);
        expect(sha256(blob.body)).toBe(child.digest);
      }
    });
  }

  test("exports a cache as an image manifest with a configuration of its own type", async () => {
    const body = manifestOf(
      partOf(cacheConfig, config),
      layers.map((layer) => partOf(types.layer, layer)),
    );
    await pushAndRead("image-cache", types.manifest, body);
  });

  test("keeps an attestation beside the image, for the platform unknown/unknown", async () => {
    await seedBlob(wire, "team/cache", emptyJson);
    const image = manifestOf(partOf(types.config, emptyJson), [partOf(types.layer, layers[0] ?? emptyJson)]);
    await pushAndRead(sha256(image), types.manifest, image);
    const statement = Buffer.from(JSON.stringify({ _type: "https://in-toto.io/Statement/v0.1" }));
    await push("team/cache", statement);
    const attestation = manifestOf(partOf(types.config, emptyJson), [
      {
        ...partOf("application/vnd.in-toto+json", statement),
        annotations: { "in-toto.io/predicate-type": "https://slsa.dev/provenance/v0.2" },
      },
    ]);
    await pushAndRead(sha256(attestation), types.manifest, attestation);
    const index = Buffer.from(
      JSON.stringify({
        schemaVersion: 2,
        mediaType: types.index,
        manifests: [
          { ...partOf(types.manifest, image), platform: { os: "linux", architecture: "amd64" } },
          {
            ...partOf(types.manifest, attestation),
            annotations: {
              "vnd.docker.reference.type": "attestation-manifest",
              "vnd.docker.reference.digest": sha256(image),
            },
            platform: { os: "unknown", architecture: "unknown" },
          },
        ],
      }),
    );
    await pushAndRead("with-attestation", types.index, index);
  });

  test("mounts the layers of one image from several repositories", async () => {
    await push("team/base", bytesOf(3, 700));
    const sources = [
      ["team/cache", sha256(layers[0] ?? "")],
      ["team/base", sha256(bytesOf(3, 700))],
    ] as const;
    const scopes = ["repository:team/built:pull,push", ...sources.map(([from]) => `repository:${from}:pull`)];
    for (const [from, digest] of sources) {
      const path = `/v2/team/built/blobs/uploads/?mount=${digest}&from=${from}`;
      expect((await wire.send({ method: "POST", path, scopes })).status).toBe(201);
      expect((await wire.send({ method: "HEAD", path: `/v2/team/built/blobs/${digest}` })).status).toBe(200);
    }
  });
});
