import { describe, expect, test } from "bun:test";
import { randomBytes } from "node:crypto";
import { digestOf, mediaTypes, pushBlob, pushImage, startUpload } from "./content.ts";
import { type Answer, expectProblem, freshRepository, useRegistry } from "./registry-client.ts";

const registry = useRegistry();

const someDigest = digestOf("some bytes");

describe("an unknown path under /v2/ answers 404 with the error JSON", () => {
  const paths = [
    "/v2/acme",
    "/v2/acme/app",
    "/v2/acme/app/",
    "/v2/acme/app/tags",
    "/v2/acme/app/tags/list/more",
    "/v2/acme/app/blobs",
    "/v2/acme/app/manifests",
    "/v2/acme/app/unknown/latest",
    "/v2/_nothing",
    "/v2/_oci/ext/nothing",
  ];
  for (const path of paths) {
    test(path, async () => {
      const answer = await registry.send("GET", path);
      expect(answer.status).toBe(404);
      expect(answer.json()).toHaveProperty("errors");
    });
  }
});

describe("a wrong method on a known route answers 405 with Allow", () => {
  const repository = "acme/app";
  const cases: readonly (readonly [string, string, readonly string[]])[] = [
    ["POST", "/v2/", ["GET", "HEAD"]],
    ["DELETE", "/v2/", ["GET", "HEAD"]],
    ["PUT", `/v2/${repository}/blobs/${someDigest}`, ["GET", "HEAD", "DELETE"]],
    ["POST", `/v2/${repository}/blobs/${someDigest}`, ["GET", "HEAD", "DELETE"]],
    ["POST", `/v2/${repository}/manifests/latest`, ["GET", "HEAD", "PUT", "DELETE"]],
    ["PATCH", `/v2/${repository}/manifests/latest`, ["GET", "HEAD", "PUT", "DELETE"]],
    ["PUT", `/v2/${repository}/tags/list`, ["GET", "HEAD"]],
    ["DELETE", `/v2/${repository}/tags/list`, ["GET", "HEAD"]],
    ["POST", `/v2/${repository}/referrers/${someDigest}`, ["GET", "HEAD"]],
    ["DELETE", "/v2/_catalog", ["GET", "HEAD"]],
    ["PUT", `/v2/${repository}/blobs/uploads/`, ["POST"]],
  ];
  for (const [method, path, allowed] of cases) {
    test(`${method} ${path}`, async () => {
      const answer = await registry.send(method, path, { body: "" });
      expectProblem(answer, 405, "UNSUPPORTED");
      const allow = (answer.header("allow") ?? "").split(/, */);
      expect(allow).toEqual(expect.arrayContaining([...allowed]));
      expect(allow).not.toContain(method);
    });
  }

  test("POST on a live upload session", async () => {
    const location = await startUpload(registry, freshRepository());
    const answer = await registry.send("POST", location, { body: "" });
    expectProblem(answer, 405, "UNSUPPORTED");
    expect((answer.header("allow") ?? "").split(/, */).toSorted()).toEqual(
      expect.arrayContaining(["DELETE", "GET", "PATCH", "PUT"]),
    );
  });

  test("an unknown method", async () => {
    const answer = await registry.send("PROPFIND", "/v2/");
    expect([405, 501, 400]).toContain(answer.status);
  });
});

/** The read routes, each on content that is there. */
async function readRoutes(): Promise<Readonly<Record<string, string>>> {
  const repository = freshRepository();
  const blob = await pushBlob(registry, repository, randomBytes(100));
  const subject = await pushImage(registry, repository, { tag: "v1" });
  await pushImage(registry, repository, { fields: { subject: subject.descriptor } });
  return {
    ping: "/v2/",
    blob: `/v2/${repository}/blobs/${blob}`,
    "manifest by tag": `/v2/${repository}/manifests/v1`,
    "manifest by digest": `/v2/${repository}/manifests/${subject.digest}`,
    tags: `/v2/${repository}/tags/list`,
    referrers: `/v2/${repository}/referrers/${subject.digest}`,
    catalog: "/v2/_catalog?n=1",
    upload: await startUpload(registry, repository),
    discovery: "/v2/_oci/ext/discover",
    "missing blob": `/v2/${repository}/blobs/${someDigest}`,
    "missing manifest": `/v2/${repository}/manifests/nothing`,
    "missing repository": `/v2/${repository}/nothing/tags/list`,
    "malformed digest": `/v2/${repository}/blobs/sha256:xyz`,
    "unknown upload": `/v2/${repository}/blobs/uploads/5f1d0d3e-3f0e-4f3c-8f0f-0123456789ab`,
  };
}

const lasting = (answer: Answer): Record<string, string> => {
  // What may differ between two requests of one kind is told apart by the request, not by the method.
  const { date: _date, "x-request-id": _requestId, ...rest } = answer.headers;
  return rest;
};

test("HEAD on every GET route gives the same status and headers as GET, with an empty body", async () => {
  for (const [name, path] of Object.entries(await readRoutes())) {
    const get = await registry.send("GET", path);
    const head = await registry.send("HEAD", path);
    expect({ name, status: head.status }).toEqual({ name, status: get.status });
    expect({ name, ...lasting(head) }).toEqual({ name, ...lasting(get) });
    expect(head.bytes).toHaveLength(0);
  }
});

test("unknown query parameters, and ?ns=docker.io, change nothing on any read route", async () => {
  for (const [name, path] of Object.entries(await readRoutes())) {
    const plain = await registry.send("GET", path);
    for (const query of ["ns=docker.io", "unknown=1&other", "ns=docker.io&ns=quay.io&x=%20"]) {
      const asked = await registry.send("GET", `${path}${path.includes("?") ? "&" : "?"}${query}`);
      expect({ name, query, status: asked.status }).toEqual({ name, query, status: plain.status });
      if (plain.status < 400) expect({ name, text: asked.text }).toEqual({ name, text: plain.text });
      expect([asked.header("content-type")]).toEqual([plain.header("content-type")]);
    }
  }
});

test("unknown query parameters, and ?ns=docker.io, are no error on pushes", async () => {
  const repository = freshRepository();
  const bytes = randomBytes(50);
  const location = await startUpload(registry, repository, "?ns=docker.io&unknown=1");
  const put = await registry.send("PUT", `${location}?ns=docker.io&unknown=1&digest=${digestOf(bytes)}`, {
    body: bytes,
  });
  expect(put.status).toBe(201);
  const manifest = await registry.send("PUT", `/v2/${repository}/manifests/v1?ns=docker.io&unknown=1`, {
    headers: { "Content-Type": mediaTypes.index },
    body: JSON.stringify({ schemaVersion: 2, manifests: [] }),
  });
  expect(manifest.status).toBe(201);
});

test("manifests and blobs are never compressed, whatever Accept-Encoding says", async () => {
  const repository = freshRepository();
  const bytes = Buffer.alloc(20_000, "compressible ");
  const digest = await pushBlob(registry, repository, bytes);
  const image = await pushImage(registry, repository, { fields: { annotations: { a: "b".repeat(20_000) } } });
  const headers = { "Accept-Encoding": "zstd, gzip, deflate, br" };
  const blob = await registry.send("GET", `/v2/${repository}/blobs/${digest}`, { headers });
  const manifest = await registry.send("GET", `/v2/${repository}/manifests/${image.digest}`, { headers });
  for (const [answer, want] of [
    [blob, bytes],
    [manifest, image.bytes],
  ] as const) {
    expect(answer.header("content-encoding")).toBeUndefined();
    expect(answer.header("content-length")).toBe(String(want.length));
    expect(answer.bytes.equals(want)).toBe(true);
  }
});
