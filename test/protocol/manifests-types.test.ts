import { beforeAll, describe, expect, test } from "bun:test";
import { randomBytes } from "node:crypto";
import {
  absentDigest,
  type Descriptor,
  describeBytes,
  digestOf,
  indexBytes,
  jsonBytes,
  mediaTypes,
  pushBlob,
  pushImage,
  pushManifest,
  randomText,
} from "./content.ts";
import { type Answer, expectClientError, expectProblem, freshRepository, useRegistry } from "./registry-client.ts";

const registry = useRegistry();
const repository = freshRepository();

const configBytes = jsonBytes({ architecture: "amd64", os: "linux" });
const layerBytes = randomBytes(100);
const config = describeBytes(mediaTypes.config, configBytes);
const layer = describeBytes(mediaTypes.layer, layerBytes);
const image = { schemaVersion: 2, mediaType: mediaTypes.image, config, layers: [layer] };

beforeAll(async () => {
  await pushBlob(registry, repository, configBytes);
  await pushBlob(registry, repository, layerBytes);
});

const put = (type: string | undefined, body: unknown, tag = "v1"): Promise<Answer> =>
  registry.send("PUT", `/v2/${repository}/manifests/${tag}`, {
    headers: type === undefined ? {} : { "Content-Type": type },
    body: typeof body === "string" || body instanceof Uint8Array ? body : jsonBytes(body),
  });

describe("400 MANIFEST_INVALID", () => {
  const schema1 = {
    schemaVersion: 1,
    name: "acme/app",
    tag: "v1",
    architecture: "amd64",
    fsLayers: [{ blobSum: layer.digest }],
    history: [{ v1Compatibility: "{}" }],
  };
  const refused: Readonly<Record<string, readonly [string | undefined, unknown]>> = {
    "no JSON": [mediaTypes.image, "this is no JSON"],
    "an empty body": [mediaTypes.image, ""],
    "JSON that is cut short": [mediaTypes.image, jsonBytes(image).subarray(0, -1)],
    "JSON with something behind it": [mediaTypes.image, `${JSON.stringify(image)}{}`],
    "bytes that are no UTF-8": [mediaTypes.index, Buffer.from([0x7b, 0x22, 0xff, 0xfe, 0x22, 0x3a, 0x31, 0x7d])],
    "a list": [mediaTypes.index, "[]"],
    null: [mediaTypes.index, "null"],
    "a number": [mediaTypes.index, "2"],
    "schemaVersion 1 in an image": [mediaTypes.image, { ...image, schemaVersion: 1 }],
    "schemaVersion 3": [mediaTypes.image, { ...image, schemaVersion: 3 }],
    "schemaVersion as text": [mediaTypes.image, { ...image, schemaVersion: "2" }],
    "no schemaVersion": [mediaTypes.image, { config, layers: [layer] }],
    "a signed schema1 manifest": ["application/vnd.docker.distribution.manifest.v1+prettyjws", schema1],
    "an unsigned schema1 manifest": ["application/vnd.docker.distribution.manifest.v1+json", schema1],
    "a schema1 manifest as JSON": ["application/json", schema1],
    "an unknown type": ["application/vnd.example.unknown+json", { schemaVersion: 2 }],
    "a type that is text": ["text/plain", image],
    "a type that is none": ["nonsense", image],
    "an image body announced as an index": [mediaTypes.index, image],
    "an index body announced as an image": [mediaTypes.image, JSON.parse(indexBytes([]).toString())],
    "a mediaType that differs from Content-Type": [mediaTypes.image, { ...image, mediaType: mediaTypes.dockerImage }],
    "an OCI type announced as docker's": [mediaTypes.dockerImage, image],
    "a mediaType that is no text": [mediaTypes.image, { ...image, mediaType: 5 }],
    "both manifests and layers": [mediaTypes.image, { ...image, manifests: [] }],
    "an index with layers": [mediaTypes.index, { schemaVersion: 2, manifests: [], layers: [] }],
    "an index with a config": [mediaTypes.index, { schemaVersion: 2, manifests: [], config }],
    "an image with manifests, without mediaType": [
      mediaTypes.image,
      { schemaVersion: 2, config, layers: [], manifests: [] },
    ],
    "an image without config": [mediaTypes.image, { schemaVersion: 2, mediaType: mediaTypes.image, layers: [] }],
    "layers that are no list": [mediaTypes.image, { ...image, layers: {} }],
    "a layer that is null": [mediaTypes.image, { ...image, layers: [null] }],
    "a descriptor without size": [mediaTypes.image, { ...image, layers: [{ ...layer, size: undefined }] }],
    "a negative size": [mediaTypes.image, { ...image, layers: [{ ...layer, size: -1 }] }],
    "a fraction of a byte": [mediaTypes.image, { ...image, layers: [{ ...layer, size: 1.5 }] }],
    "a size as text": [mediaTypes.image, { ...image, layers: [{ ...layer, size: "100" }] }],
    "a size above 2^53": [mediaTypes.image, JSON.stringify(image).replace('"size":100', '"size":9007199254740993')],
    "a size beyond all numbers": [mediaTypes.image, JSON.stringify(image).replace('"size":100', '"size":1e999')],
    "a subject without digest": [mediaTypes.image, { ...image, subject: { mediaType: mediaTypes.image, size: 1 } }],
    "annotations that are no text": [mediaTypes.image, { ...image, annotations: { a: { b: 1 } } }],
    "a lone surrogate": [mediaTypes.index, '{"schemaVersion":2,"manifests":[],"annotations":{"a":"\\ud800"}}'],
  };
  for (const [name, [type, body]] of Object.entries(refused)) {
    test(name, async () => {
      expectProblem(await put(type, body, "refused"), 400, "MANIFEST_INVALID", "DIGEST_INVALID");
      expect((await registry.send("GET", `/v2/${repository}/manifests/refused`)).status).toBe(404);
    });
  }

  test("no Content-Type at all is refused, or taken from mediaType, and never stored as something else", async () => {
    const answer = await put(undefined, image, "untyped");
    if (answer.status === 201) {
      const pulled = await registry.send("GET", `/v2/${repository}/manifests/untyped`);
      expect(pulled.header("content-type")).toBe(mediaTypes.image);
    } else {
      expectProblem(answer, 400, "MANIFEST_INVALID");
    }
  });

  test("nested 100 000 levels deep, within 2 s, and the server goes on", async () => {
    const started = performance.now();
    const nested = `{"schemaVersion":2,"manifests":[],"x":${"[".repeat(100_000)}${"]".repeat(100_000)}}`;
    expectProblem(await put(mediaTypes.index, nested), 400, "MANIFEST_INVALID");
    expect(performance.now() - started).toBeLessThan(2000);
    expect((await registry.send("GET", "/v2/")).status).toBe(200);
  });
});

describe("accepted, and returned with the pushed type", () => {
  const dockerImage = {
    schemaVersion: 2,
    mediaType: mediaTypes.dockerImage,
    config: { ...config, mediaType: mediaTypes.dockerConfig },
    layers: [{ ...layer, mediaType: mediaTypes.dockerLayer }],
  };
  const child: Descriptor = { mediaType: mediaTypes.image, digest: absentDigest(), size: 5 };
  const empty = { mediaType: mediaTypes.empty, digest: digestOf("{}"), size: 2, data: "e30=" };
  const accepted: Readonly<Record<string, readonly [string, unknown]>> = {
    "an OCI image": [mediaTypes.image, image],
    "a docker schema2 image": [mediaTypes.dockerImage, dockerImage],
    "a docker manifest list": [
      mediaTypes.dockerList,
      {
        schemaVersion: 2,
        mediaType: mediaTypes.dockerList,
        manifests: [{ ...child, mediaType: mediaTypes.dockerImage }],
      },
    ],
    "an OCI index": [mediaTypes.index, { schemaVersion: 2, mediaType: mediaTypes.index, manifests: [child] }],
    "an image without mediaType, as Helm pushes it": [
      mediaTypes.image,
      {
        schemaVersion: 2,
        config: { ...config, mediaType: "application/vnd.cncf.helm.config.v1+json" },
        layers: [{ ...layer, mediaType: "application/vnd.cncf.helm.chart.content.v1.tar+gzip" }],
      },
    ],
    "empty layers": [mediaTypes.image, { ...image, layers: [] }],
    "an artifact without layers": [
      mediaTypes.image,
      { schemaVersion: 2, mediaType: mediaTypes.image, artifactType: "application/x", config: empty, layers: [] },
    ],
    "empty manifests": [mediaTypes.index, { schemaVersion: 2, mediaType: mediaTypes.index, manifests: [] }],
    "data fields": [mediaTypes.image, { ...image, config: { ...config, data: configBytes.toString("base64") } }],
    "custom config and layer types": [
      mediaTypes.image,
      {
        ...image,
        config: { ...config, mediaType: "application/vnd.example.config+json" },
        layers: [{ ...layer, mediaType: "text/x.anything+any-thing" }],
      },
    ],
    "children without platform": [mediaTypes.index, { schemaVersion: 2, manifests: [child, child] }],
    "attestation children": [
      mediaTypes.index,
      { schemaVersion: 2, manifests: [{ ...child, platform: { architecture: "unknown", os: "unknown" } }] },
    ],
    "a BuildKit cache index, whose children are blobs": [
      mediaTypes.index,
      {
        schemaVersion: 2,
        mediaType: mediaTypes.index,
        manifests: [layer, { ...config, mediaType: "application/vnd.buildkit.cacheconfig.v0" }],
      },
    ],
    "fields of custom names": [
      mediaTypes.image,
      { ...image, "x-custom": { deep: [{}] }, annotations: { "a.b/c": "" } },
    ],
    "a field named __proto__": [
      mediaTypes.index,
      '{"schemaVersion":2,"manifests":[],"__proto__":{"schemaVersion":1},"constructor":{"prototype":{}}}',
    ],
    "a nested index": [mediaTypes.index, { schemaVersion: 2, manifests: [{ ...child, mediaType: mediaTypes.index }] }],
  };
  beforeAll(async () => {
    await pushBlob(registry, repository, Buffer.from("{}"));
  });
  for (const [name, [type, body]] of Object.entries(accepted)) {
    test(name, async () => {
      const answer = await put(type, body);
      expect(`${String(answer.status)} ${answer.text}`).toBe("201 ");
      const bytes = typeof body === "string" ? Buffer.from(body) : jsonBytes(body);
      const pulled = await registry.send("GET", `/v2/${repository}/manifests/v1`);
      expect(pulled.header("content-type")).toBe(type);
      expect(pulled.bytes.equals(bytes)).toBe(true);
    });
  }
});

test("Content-Type with parameters is accepted and returned without them", async () => {
  for (const parameters of ["; charset=utf-8", ";charset=utf-8", ' ; q="x;y"']) {
    expect((await put(`${mediaTypes.image}${parameters}`, image, "parameters")).status).toBe(201);
    const pulled = await registry.send("GET", `/v2/${repository}/manifests/parameters`);
    expect(pulled.header("content-type")).toBe(mediaTypes.image);
  }
});

test("Accept absent, */*, several lines, comma lists, q-values, or another type: 200 with the stored type", async () => {
  const oci = await pushImage(registry, repository, { tag: "oci" });
  const docker = { ...image, mediaType: mediaTypes.dockerImage, annotations: { id: randomText() } };
  const bytes = jsonBytes(docker);
  await pushManifest(registry, { repository, bytes, mediaType: mediaTypes.dockerImage, tag: "docker" });
  const accepts: readonly (string | readonly string[] | undefined)[] = [
    undefined,
    "*/*",
    "application/*;q=0.5",
    [mediaTypes.image, mediaTypes.index, mediaTypes.dockerImage],
    `${mediaTypes.image}, ${mediaTypes.dockerImage};q=0.9, */*;q=0.1`,
    mediaTypes.index,
    "application/vnd.docker.distribution.manifest.v1+prettyjws",
    "text/html",
    "",
    "nonsense;;=,",
  ];
  for (const accept of accepts) {
    const headers = accept === undefined ? {} : { Accept: accept };
    for (const [reference, type, want] of [
      ["oci", mediaTypes.image, oci.bytes],
      [oci.digest, mediaTypes.image, oci.bytes],
      ["docker", mediaTypes.dockerImage, bytes],
      [digestOf(bytes), mediaTypes.dockerImage, bytes],
    ] as const) {
      for (const method of ["GET", "HEAD"]) {
        const answer = await registry.send(method, `/v2/${repository}/manifests/${reference}`, { headers });
        expect([accept, answer.status, answer.header("content-type")]).toEqual([accept, 200, type]);
        if (method === "GET") expect(answer.bytes.equals(want)).toBe(true);
      }
    }
  }
});

test("HEAD by tag and by digest: Content-Type, Content-Length, Docker-Content-Digest and ETag", async () => {
  const pushed = await pushImage(registry, repository, { tag: "head" });
  for (const reference of ["head", pushed.digest]) {
    const answer = await registry.send("HEAD", `/v2/${repository}/manifests/${reference}`);
    expect(answer.status).toBe(200);
    expect(answer.header("content-type")).toBe(mediaTypes.image);
    expect(answer.header("content-length")).toBe(String(pushed.bytes.length));
    expect(answer.header("docker-content-digest")).toBe(pushed.digest);
    expect(answer.header("etag")).toBe(`"${pushed.digest}"`);
  }
});

describe("manifests made to hurt", () => {
  test("tens of thousands of layers are answered, and others are served meanwhile", async () => {
    const layers = Array.from({ length: 30_000 }, (_, at) => ({
      mediaType: "a/b",
      digest: digestOf(String(at)),
      size: 1,
    }));
    const body = jsonBytes({ schemaVersion: 2, config, layers }).subarray(0);
    expect(body.length).toBeLessThan(4 << 20);
    const push = put(mediaTypes.image, body);
    let slowestMs = 0;
    for (let ping = 0; ping < 10; ping += 1) {
      const started = performance.now();
      expect((await registry.send("GET", "/v2/")).status).toBe(200);
      slowestMs = Math.max(slowestMs, performance.now() - started);
    }
    expectClientError(await push);
    expect(slowestMs).toBeLessThan(1500);
  });

  test("indexes nested 30 levels deep, each naming the level below twice, take no exponential walk", async () => {
    const nested = freshRepository();
    const started = performance.now();
    let below = await pushManifest(registry, {
      repository: nested,
      bytes: indexBytes([]),
      mediaType: mediaTypes.index,
    });
    for (let level = 1; level <= 30; level += 1) {
      const twice = [below.descriptor, { ...below.descriptor, annotations: { again: "yes" } }];
      const push = {
        repository: nested,
        bytes: indexBytes(twice),
        mediaType: mediaTypes.index,
        tag: `level-${String(level)}`,
      };
      below = await pushManifest(registry, push);
    }
    expect((await registry.send("DELETE", `/v2/${nested}/manifests/${below.digest}`)).status).toBe(202);
    expect(performance.now() - started).toBeLessThan(5000);
  });

  test("an index that names its subject as its child is taken or refused, and can be deleted", async () => {
    const nested = freshRepository();
    const subject = { mediaType: mediaTypes.index, digest: digestOf(indexBytes([])), size: indexBytes([]).length };
    const bytes = indexBytes([subject], { subject });
    const pushed = await pushManifest(registry, {
      repository: nested,
      bytes,
      mediaType: mediaTypes.index,
      tag: "loop",
    });
    await pushManifest(registry, { repository: nested, bytes: indexBytes([]), mediaType: mediaTypes.index });
    expect((await registry.send("DELETE", `/v2/${nested}/manifests/${pushed.digest}`)).status).toBe(202);
  });
});
