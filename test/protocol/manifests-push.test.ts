import { describe, expect, test } from "bun:test";
import { randomBytes } from "node:crypto";
import {
  absentDigest,
  describeBytes,
  digestOf,
  indexBytes,
  inPieces,
  jsonBytes,
  mediaTypes,
  pushBlob,
  pushImage,
  pushIndex,
  pushManifest,
  randomText,
  startUpload,
} from "./content.ts";
import { type Answer, expectProblem, freshRepository, locationOf, problemsOf, useRegistry } from "./registry-client.ts";

const registry = useRegistry();

const put = (
  repository: string,
  reference: string,
  push: { type: string; body: Uint8Array | string },
): Promise<Answer> =>
  registry.send("PUT", `/v2/${repository}/manifests/${reference}`, {
    headers: { "Content-Type": push.type },
    body: push.body,
  });

const get = (repository: string, reference: string): Promise<Answer> =>
  registry.send("GET", `/v2/${repository}/manifests/${reference}`);

describe("PUT by tag and by digest", () => {
  test("is 201 with a pullable Location and the digest of the exact bytes", async () => {
    const repository = freshRepository();
    const bytes = indexBytes([], { annotations: { id: randomText() } });
    const digest = digestOf(bytes);
    for (const reference of ["v1", digest]) {
      const answer = await put(repository, reference, { type: mediaTypes.index, body: bytes });
      expect([answer.status, answer.header("docker-content-digest")]).toEqual([201, digest]);
      expect(answer.bytes).toHaveLength(0);
      const pulled = await registry.send("GET", locationOf(answer));
      expect([pulled.status, pulled.header("docker-content-digest")]).toEqual([200, digest]);
    }
  });

  test("is visible at once: GET by digest and HEAD by tag right after the 201 are 200", async () => {
    const repository = freshRepository();
    for (let push = 0; push < 20; push += 1) {
      const { digest, bytes } = await pushIndex(registry, repository, { tag: "latest" });
      const byDigest = await get(repository, digest);
      expect([byDigest.status, byDigest.bytes.equals(bytes)]).toEqual([200, true]);
      const byTag = await registry.send("HEAD", `/v2/${repository}/manifests/latest`);
      expect([byTag.status, byTag.header("docker-content-digest")]).toEqual([200, digest]);
    }
  });

  test("of the same bytes again is 201, and nothing changes", async () => {
    const repository = freshRepository();
    const image = await pushImage(registry, repository, { tag: "v1" });
    const before = await get(repository, "v1");
    await pushManifest(registry, { repository, ...image, tag: "v1" });
    await pushManifest(registry, { repository, ...image });
    const after = await get(repository, "v1");
    expect([after.status, after.header("docker-content-digest")]).toEqual([
      200,
      before.header("docker-content-digest"),
    ]);
    expect((await registry.send("GET", `/v2/${repository}/tags/list`)).json()).toEqual({
      name: repository,
      tags: ["v1"],
    });
  });

  test("moving a tag leaves the old digest pullable", async () => {
    const repository = freshRepository();
    const old = await pushImage(registry, repository, { tag: "latest" });
    const young = await pushImage(registry, repository, { tag: "latest" });
    expect((await get(repository, "latest")).header("docker-content-digest")).toBe(young.digest);
    expect((await get(repository, old.digest)).bytes.equals(old.bytes)).toBe(true);
  });

  test("with chunked transfer and no Content-Length is 201", async () => {
    const repository = freshRepository();
    const bytes = indexBytes([], { annotations: { id: randomText() } });
    for (const reference of [digestOf(bytes), "v1"]) {
      const answer = await registry.send("PUT", `/v2/${repository}/manifests/${reference}`, {
        headers: { "Content-Type": mediaTypes.index },
        body: inPieces(bytes.subarray(0, 20), bytes.subarray(20)),
      });
      expect(answer.status).toBe(201);
    }
    expect((await get(repository, "v1")).bytes.equals(bytes)).toBe(true);
  });

  test("with a digest that differs from the body's is 400 DIGEST_INVALID; trailing whitespace counts", async () => {
    const repository = freshRepository();
    const bytes = indexBytes([], { annotations: { id: randomText() } });
    const padded = Buffer.concat([bytes, Buffer.from("\n")]);
    const wrong = await put(repository, absentDigest(), { type: mediaTypes.index, body: bytes });
    const whitespace = await put(repository, digestOf(bytes), { type: mediaTypes.index, body: padded });
    expectProblem(wrong, 400, "DIGEST_INVALID");
    expectProblem(whitespace, 400, "DIGEST_INVALID");
    expect((await get(repository, digestOf(bytes))).status).toBe(404);
    expect((await get(repository, digestOf(padded))).status).toBe(404);
    const right = await put(repository, digestOf(padded), { type: mediaTypes.index, body: padded });
    expect(right.status).toBe(201);
  });
});

describe("GET returns the pushed bytes, untouched", () => {
  const texts: Readonly<Record<string, string>> = {
    "whitespace and key order": '\n{ "manifests" : [ ] ,\r\n\t"schemaVersion":2 }\n\n',
    "unknown fields": '{"schemaVersion":2,"manifests":[],"x-unknown":{"a":[1,2.50,1e3,null,true]},"z":"ü\\u00fc"}',
    "duplicate unknown fields": '{"schemaVersion":2,"manifests":[],"x":1,"x":2}',
    "numbers that would round": '{"schemaVersion":2,"manifests":[],"x":12345678901234567890.10}',
    "escapes that could be shorter": '{"schemaVersion":2,"manifests":[],"annotations":{"a":"\\u0041\\/\\u2028"}}',
  };
  for (const [name, text] of Object.entries(texts)) {
    test(name, async () => {
      const repository = freshRepository();
      const answer = await put(repository, "v1", { type: mediaTypes.index, body: text });
      expect([answer.status, answer.header("docker-content-digest")]).toEqual([201, digestOf(text)]);
      for (const reference of ["v1", digestOf(text)]) expect((await get(repository, reference)).text).toBe(text);
    });
  }
});

const layerNamed = (digest: string) => ({ mediaType: mediaTypes.layer, digest, size: 10 });

const absentLayer = (mediaType: string, fields: object = {}) => ({
  mediaType,
  digest: absentDigest(),
  size: 5,
  ...fields,
});

describe("what is named must be there", () => {
  test("missing config and layers are 400 with one MANIFEST_BLOB_UNKNOWN per missing digest, named in detail", async () => {
    const repository = freshRepository();
    const here = await pushBlob(registry, repository, randomBytes(10));
    const missing = [absentDigest(), absentDigest(), absentDigest()];
    const config = { mediaType: mediaTypes.config, digest: missing[0], size: 10 };
    const layers = [
      layerNamed(here),
      layerNamed(missing[1] ?? ""),
      layerNamed(missing[2] ?? ""),
      layerNamed(missing[1] ?? ""),
    ];
    const body = jsonBytes({ schemaVersion: 2, mediaType: mediaTypes.image, config, layers });
    const answer = await put(repository, "v1", { type: mediaTypes.image, body });
    expectProblem(answer, 400, "MANIFEST_BLOB_UNKNOWN");
    const problems = problemsOf(answer);
    expect(problems.map((problem) => problem.code)).toEqual(missing.map(() => "MANIFEST_BLOB_UNKNOWN"));
    for (const digest of missing) {
      expect(problems.filter((problem) => JSON.stringify(problem.detail).includes(digest))).toHaveLength(1);
    }
    expect((await get(repository, "v1")).status).toBe(404);
  });

  test("a blob of another repository does not count as there", async () => {
    const [here, there] = [freshRepository(), freshRepository()];
    const bytes = randomBytes(10);
    await pushBlob(registry, there, bytes);
    const config = describeBytes(mediaTypes.config, bytes);
    const body = jsonBytes({ schemaVersion: 2, mediaType: mediaTypes.image, config, layers: [] });
    expectProblem(await put(here, "v1", { type: mediaTypes.image, body }), 400, "MANIFEST_BLOB_UNKNOWN");
  });

  test("foreign and non-distributable layers, and layers with urls, need not exist", async () => {
    const repository = freshRepository();
    const bytes = jsonBytes({ architecture: "amd64", os: "windows" });
    await pushBlob(registry, repository, bytes);
    const image = {
      schemaVersion: 2,
      mediaType: mediaTypes.image,
      config: describeBytes(mediaTypes.config, bytes),
      layers: [
        absentLayer("application/vnd.oci.image.layer.nondistributable.v1.tar"),
        absentLayer("application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"),
        absentLayer("application/vnd.oci.image.layer.nondistributable.v1.tar+zstd"),
        absentLayer(mediaTypes.layer, { urls: ["https://example.com/layer"] }),
      ],
    };
    expect((await put(repository, "oci", { type: mediaTypes.image, body: jsonBytes(image) })).status).toBe(201);
    const docker = {
      schemaVersion: 2,
      mediaType: mediaTypes.dockerImage,
      config: describeBytes(mediaTypes.dockerConfig, bytes),
      layers: [
        absentLayer("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", {
          urls: ["https://example.com/layer"],
        }),
      ],
    };
    expect((await put(repository, "docker", { type: mediaTypes.dockerImage, body: jsonBytes(docker) })).status).toBe(
      201,
    );
  });

  test("a subject need not exist", async () => {
    const subject = { mediaType: mediaTypes.image, digest: absentDigest(), size: 7 };
    await pushImage(registry, freshRepository(), { fields: { subject } });
  });

  test("an index with missing children is accepted by default, with a Warning that names what is not there", async () => {
    const repository = freshRepository();
    const here = await pushIndex(registry, repository);
    const missing = Array.from({ length: 200 }, () => ({
      mediaType: mediaTypes.image,
      digest: absentDigest(),
      size: 7,
    }));
    const sparse = indexBytes([here.descriptor, ...missing.slice(0, 2)]);
    const answer = await put(repository, "sparse", { type: mediaTypes.index, body: sparse });
    expect(answer.status).toBe(201);
    // The client checks the form and the length of every Warning.
    for (const { digest } of missing.slice(0, 2)) expect(answer.header("warning")).toContain(digest);
    expect(answer.header("warning")).not.toContain(here.digest);
    const large = await put(repository, "large", { type: mediaTypes.index, body: indexBytes(missing) });
    expect([large.status, large.header("warning") === undefined]).toEqual([201, false]);
    const whole = await put(repository, "whole", { type: mediaTypes.index, body: indexBytes([here.descriptor]) });
    expect([whole.status, whole.header("warning")]).toEqual([201, undefined]);
  });

  test("an index with a missing child is accepted with a Warning that names it", async () => {
    const child = { mediaType: mediaTypes.image, digest: absentDigest(), size: 7 };
    const repository = freshRepository();
    const answer = await registry.send("PUT", `/v2/${repository}/manifests/v1`, {
      headers: { "Content-Type": mediaTypes.index },
      body: indexBytes([child]),
    });
    expect(answer.status).toBe(201);
    expect(answer.headers["warning"]).toBe(`299 - "${repository} does not have ${child.digest}: some pulls will fail"`);
  });
});

describe("an index with a missing child, where sparse indexes are switched off,", () => {
  const strict = useRegistry({ env: { BERTH_MANIFESTS_SPARSE_INDEXES: "false" } });

  test("is refused with one MANIFEST_BLOB_UNKNOWN per missing digest", async () => {
    const repository = freshRepository();
    const here = await pushIndex(strict, repository);
    const missing = [absentDigest(), absentDigest()];
    const children = missing.map((digest) => ({ mediaType: mediaTypes.image, digest, size: 7 }));
    const answer = await strict.send("PUT", `/v2/${repository}/manifests/v1`, {
      headers: { "Content-Type": mediaTypes.index },
      body: indexBytes([here.descriptor, ...children]),
    });
    expectProblem(answer, 400, "MANIFEST_BLOB_UNKNOWN");
    const problems = problemsOf(answer);
    expect(problems).toHaveLength(2);
    for (const digest of missing) expect(JSON.stringify(problems)).toContain(digest);
  });

  test("is accepted once the children are there, as manifests or, in a build cache, as blobs", async () => {
    const repository = freshRepository();
    const child = await pushImage(strict, repository);
    await pushIndex(strict, repository, { tag: "v1", manifests: [child.descriptor] });
    const layer = child.layers.map((descriptor) => ({ ...descriptor }));
    await pushIndex(strict, repository, { tag: "cache", manifests: layer });
  });
});

const sized = (size: number): Buffer => {
  const bare = indexBytes([], { annotations: { pad: "" } });
  return indexBytes([], { annotations: { pad: "x".repeat(size - bare.length) } });
};

describe("size", () => {
  const limit = 4 * 1024 * 1024;
  test("a manifest of exactly 4 MiB is accepted and returned whole", async () => {
    const repository = freshRepository();
    const bytes = sized(limit);
    expect(bytes).toHaveLength(limit);
    expect((await put(repository, "v1", { type: mediaTypes.index, body: bytes })).status).toBe(201);
    expect((await get(repository, "v1")).bytes.equals(bytes)).toBe(true);
  });

  test("one byte more is 413, with a length and in chunks", async () => {
    const repository = freshRepository();
    const bytes = sized(limit + 1);
    const plain = await put(repository, "v1", { type: mediaTypes.index, body: bytes });
    const chunked = await registry.send("PUT", `/v2/${repository}/manifests/v1`, {
      headers: { "Content-Type": mediaTypes.index },
      body: inPieces(bytes),
    });
    expectProblem(plain, 413, "SIZE_INVALID", "MANIFEST_INVALID");
    expectProblem(chunked, 413, "SIZE_INVALID", "MANIFEST_INVALID");
    expect((await get(repository, "v1")).status).toBe(404);
  });

  test("an endless body is cut off at the limit", async () => {
    const piece = Buffer.alloc(1 << 20, " ");
    let sent = 0;
    async function* endless(): AsyncGenerator<Uint8Array> {
      for (; sent < 256 * piece.length; sent += piece.length) {
        await Bun.sleep(2);
        yield piece;
      }
    }
    const answer = await registry.send("PUT", `/v2/${freshRepository()}/manifests/v1`, {
      headers: { "Content-Type": mediaTypes.index },
      body: endless(),
    });
    expect(answer.status).toBe(413);
    expect(sent).toBeLessThan(128 * piece.length);
  });
});

test("concurrent PUTs of different manifests to one tag: the tag always resolves to one of them", async () => {
  const repository = freshRepository();
  const bodies = Array.from({ length: 10 }, (_, at) => indexBytes([], { annotations: { at: String(at) } }));
  const digests = bodies.map((body) => digestOf(body));
  await put(repository, "latest", { type: mediaTypes.index, body: bodies[0] ?? "" });
  const writes = bodies.map((body) => put(repository, "latest", { type: mediaTypes.index, body }));
  const reads = Array.from({ length: 20 }, () => get(repository, "latest"));
  for (const answer of await Promise.all(writes)) expect(answer.status).toBe(201);
  for (const answer of await Promise.all(reads)) {
    expect(answer.status).toBe(200);
    expect(digests).toContain(digestOf(answer.bytes));
    expect(answer.header("docker-content-digest")).toBe(digestOf(answer.bytes));
  }
  expect(digests).toContain((await get(repository, "latest")).header("docker-content-digest") ?? "none");
  for (const digest of digests) expect((await get(repository, digest)).status).toBe(200);
});

test("a manifest may name a blob whose session ended a moment before", async () => {
  const repository = freshRepository();
  const bytes = jsonBytes({ id: randomText() });
  const location = await startUpload(registry, repository);
  await registry.send("PUT", `${location}?digest=${digestOf(bytes)}`, { body: bytes });
  const body = jsonBytes({ schemaVersion: 2, config: describeBytes(mediaTypes.config, bytes), layers: [] });
  expect((await put(repository, "v1", { type: mediaTypes.image, body })).status).toBe(201);
});

test("missing manifests are 404 MANIFEST_UNKNOWN, by tag and by digest", async () => {
  const repository = freshRepository();
  await pushIndex(registry, repository, { tag: "v1" });
  expectProblem(await get(repository, "v2"), 404, "MANIFEST_UNKNOWN");
  expectProblem(await get(repository, absentDigest()), 404, "MANIFEST_UNKNOWN");
  expectProblem(await get(freshRepository(), "v1"), 404, "MANIFEST_UNKNOWN", "NAME_UNKNOWN");
});

test("a manifest of one repository is not visible in another", async () => {
  const [here, there] = [freshRepository(), freshRepository()];
  const { digest } = await pushIndex(registry, here, { tag: "v1" });
  await pushIndex(registry, there, { tag: "v1" });
  expectProblem(await get(there, digest), 404, "MANIFEST_UNKNOWN");
  expectProblem(await registry.send("DELETE", `/v2/${there}/manifests/${digest}`), 404, "MANIFEST_UNKNOWN");
  expect((await get(here, digest)).status).toBe(200);
});
