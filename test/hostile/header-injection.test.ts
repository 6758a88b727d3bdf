import { describe, expect, test } from "bun:test";
import { adminBasic } from "../protocol/bearer.ts";
import { digestOf, indexBytes, mediaTypes, pushIndex, startUpload } from "../protocol/content.ts";
import { type Answer, expectProblem, freshRepository, useRegistry, withQuery } from "../protocol/registry-client.ts";
import { head, say } from "./wire.ts";

const registry = useRegistry();

/** As bytes, as what decoders of other lengths make of them, and as letters whose low byte they are. */
const breaks = [
  "%0d%0a",
  "%0a",
  "%0d",
  "%0D%0A%20",
  "%250d%250a",
  "%c0%8d%c0%8a",
  "%E5%98%8A%E5%98%8D",
  "%e2%80%a8",
  "%00",
];
const injected = (separator: string): string => `${separator}Set-Cookie:%20stolen=1${separator}${separator}<html>`;

/** Every header the registry has, and no other. */
const known = new Set([
  ..."accept-ranges allow cache-control connection content-disposition content-length content-range".split(" "),
  ..."content-type date docker-content-digest docker-distribution-api-version docker-upload-uuid etag link".split(" "),
  ..."location oci-filters-applied oci-subject oci-tag range retry-after transfer-encoding warning".split(" "),
  ..."www-authenticate x-content-type-options x-request-id last-modified".split(" "),
]);

function expectNothingAdded(answer: Answer): void {
  expect(Object.keys(answer.headers).filter((name) => !known.has(name))).toEqual([]);
  for (const value of Object.values(answer.headers)) expect(value).toMatch(/^[\x20-\x7e]*$/);
  expect(answer.header("content-type") ?? "").not.toContain("html");
}

describe("a line break in a path is refused, and ends no header:", () => {
  for (const separator of breaks) {
    test(separator, async () => {
      const repository = freshRepository();
      const image = await pushIndex(registry, repository, { tag: "v1" });
      const text = injected(separator);
      const put = { headers: { "Content-Type": mediaTypes.index }, body: indexBytes([]) };
      const requests = [
        ["GET", `/v2/${repository}${text}/tags/list`],
        ["GET", `/v2/${repository}${text}/manifests/v1`],
        ["GET", `/v2/${repository}${text}/blobs/${image.digest}`],
        ["PUT", `/v2/${repository}${text}/manifests/v1`],
        ["POST", `/v2/${repository}${text}/blobs/uploads/`],
        ["PUT", `/v2/${repository}/manifests/v1${text}`],
        ["PUT", `/v2/${repository}/manifests/${image.digest}${text}`],
        ["PUT", `/v2/${repository}/manifests/${digestOf(indexBytes([]))}?tag=v2${text}`],
        ["DELETE", `/v2/${repository}/manifests/v1${text}`],
        ["GET", `/v2/${repository}/blobs/${image.digest}${text}`],
        ["GET", `/v2/${repository}/referrers/${image.digest}${text}`],
        ["POST", `/v2/${repository}/blobs/uploads/?digest=${image.digest}${text}`],
        ["POST", `/v2/${repository}/blobs/uploads/?digest-algorithm=sha256${text}`],
      ] as const;
      for (const [method, target] of requests) {
        const answer = await registry.send(method, target, method === "PUT" ? put : { body: "" });
        expect({ target, status: answer.status }).toEqual({ target, status: 400 });
        expectProblem(answer, 400, "NAME_INVALID", "TAG_INVALID", "DIGEST_INVALID", "MANIFEST_INVALID");
        expectNothingAdded(answer);
      }
      const read = await registry.send("GET", `/v2/${repository}/manifests/v1${text}`);
      expect([400, 404]).toContain(read.status);
      expectNothingAdded(read);
      const upload = await registry.send("PATCH", `/v2/${repository}/blobs/uploads/x${text}`, { body: "" });
      expectProblem(upload, [400, 404], "BLOB_UPLOAD_UNKNOWN", "NAME_INVALID");
      expectNothingAdded(upload);
    });
  }
});

describe("a line break in a parameter that comes back in a header is no line break there:", () => {
  for (const separator of breaks) {
    test(separator, async () => {
      const repository = freshRepository();
      const image = await pushIndex(registry, repository, { tag: "a" });
      await pushIndex(registry, repository, { tag: "b" });
      const text = injected(separator);
      const location = await startUpload(registry, repository);
      const requests = [
        ["GET", `/v2/${repository}/tags/list?n=1&other=${text}`],
        ["GET", `/v2/${repository}/tags/list?n=1&${text}=1`],
        ["GET", `/v2/_catalog?n=1&other=${text}`],
        ["GET", `/v2/${repository}/referrers/${image.digest}?n=1&artifactType=${text}`],
        ["POST", `/v2/${repository}/blobs/uploads/?mount=${image.digest}&from=${text}`],
        ["POST", `/v2/${repository}/blobs/uploads/?mount=${text}`],
        ["GET", withQuery(location, `other=${text}`)],
        ["GET", `/token?service=berth&scope=repository:${text}:pull&account=${text}`],
        ["GET", `/token?service=${text}`],
      ] as const;
      for (const [method, target] of requests) {
        const answer = await registry.send(method, target, method === "POST" ? { body: "" } : {});
        expect({ target, isRefusedOrDone: answer.status < 500 }).toEqual({ target, isRefusedOrDone: true });
        expectNothingAdded(answer);
        const anonymous = await registry.as(undefined).send(method, target, method === "POST" ? { body: "" } : {});
        expect(anonymous.status).toBeLessThan(500);
        expectNothingAdded(anonymous);
      }
    });
  }
});

test("a manifest's own words never become headers", async () => {
  const repository = freshRepository();
  for (const separator of ["\r\n", "\n", "\r", "\u560d\u560a", "\0"]) {
    const words = `${separator}Set-Cookie: stolen=1`;
    const bodies = [
      { schemaVersion: 2, mediaType: `${mediaTypes.index}${words}`, manifests: [] },
      { schemaVersion: 2, mediaType: `${mediaTypes.index}${separator}`, manifests: [] },
      { schemaVersion: 2, mediaType: `${mediaTypes.index};a=${words}`, manifests: [] },
      { schemaVersion: 2, mediaType: mediaTypes.index, artifactType: `a/b${words}`, manifests: [] },
      { schemaVersion: 2, mediaType: mediaTypes.index, manifests: [{ mediaType: "a/b", digest: words, size: 1 }] },
    ];
    for (const body of bodies) {
      const answer = await registry.send("PUT", `/v2/${repository}/manifests/v1`, { body: JSON.stringify(body) });
      expectProblem(answer, 400, "MANIFEST_INVALID", "DIGEST_INVALID");
      expectNothingAdded(answer);
    }
  }
  expect((await registry.send("GET", `/v2/${repository}/tags/list`)).status).toBe(404);
});

describe("raw control characters are refused before anything is done:", () => {
  const cases: Readonly<Record<string, (host: string) => string>> = {
    "a bare CR in the path": (host) => head("GET /v2/a\rX:y/tags/list HTTP/1.1", `Host: ${host}`),
    "NUL in the path": (host) => head("GET /v2/a\0b/tags/list HTTP/1.1", `Host: ${host}`),
    "NUL in a value": (host) => head("GET /v2/ HTTP/1.1", `Host: ${host}`, "X-A: b\0c"),
    "NUL in a name": (host) => head("GET /v2/ HTTP/1.1", `Host: ${host}`, "X\0A: b"),
    "a folded line": (host) => head("GET /v2/ HTTP/1.1", `Host: ${host}`, "X-A: b\r\n c"),
    "a space before the colon": (host) => head("GET /v2/ HTTP/1.1", `Host: ${host}`, "Content-Length : 5"),
    "a name without a colon": (host) => head("GET /v2/ HTTP/1.1", `Host: ${host}`, "Set-Cookie"),
  };
  for (const [name, request] of Object.entries(cases)) {
    test(name, async () => {
      const { host } = registry.server();
      await registry.server().logged();
      const before = registry.server().requests().length;
      const { text, isClosed } = await say(host, request(host));
      // The parser's own refusals have no body: no page, and nothing of the request.
      expect(text).toMatch(/^HTTP\/1\.1 (400|505) [A-Za-z ]+\r\nConnection: close\r\n\r\n$/);
      expect(isClosed).toBe(true);
      await registry.server().logged();
      expect(registry.server().requests()).toHaveLength(before);
    });
  }
});

describe("headers beyond what any client sends are 431 without a page:", () => {
  const cases: Readonly<Record<string, readonly string[]>> = {
    "20 KiB in one": [`X-Large: ${"x".repeat(20 << 10)}`],
    "20 KiB in many": Array.from({ length: 90 }, (_, at) => `X-${String(at)}: ${"x".repeat(230)}`),
    "300 of them": Array.from({ length: 300 }, (_, at) => `X-${String(at)}: y`),
  };
  for (const [name, headers] of Object.entries(cases)) {
    test(name, async () => {
      const { host } = registry.server();
      const { text, isClosed } = await say(host, head("GET /v2/ HTTP/1.1", `Host: ${host}`, ...headers));
      expect(text).toMatch(/^HTTP\/1\.1 431 [A-Za-z ]+\r\nConnection: close\r\n\r\n$/);
      expect(isClosed).toBe(true);
    });
  }
});

test("no request forges a line of the log", async () => {
  const { host } = registry.server();
  const line = '{"level":"error","event":"forged"}';
  const auth = `Authorization: ${adminBasic(registry)}`;
  const spoken = [
    head(`GET /v2/a%0a${encodeURIComponent(line)}%0a/tags/list HTTP/1.1`, `Host: ${host}`, auth),
    head(`GET /v2/${encodeURIComponent(line)} HTTP/1.1`, `Host: ${host}`, auth),
    head("GET /v2/ HTTP/1.1", `Host: ${host}`, auth, `User-Agent: x","event":"forged","y":"`),
    head("GET /v2/ HTTP/1.1", `Host: ${host}`, auth, `User-Agent: \x85${line}\x85`),
    head("GET /v2/ HTTP/1.1", `Host: ${host}`, auth, `Forwarded: ","event":"forged`),
  ];
  await registry.server().logged();
  const before = registry.server().requests().length;
  for (const bytes of spoken) expect((await say(host, bytes)).statuses).toHaveLength(1);
  await registry.server().logged();
  expect(registry.server().requests()).toHaveLength(before + spoken.length);
  expect(
    registry
      .server()
      .log()
      .filter(({ event }) => event === "forged"),
  ).toEqual([]);
});
