import { afterAll, beforeAll, describe, expect, it } from "bun:test";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { selfSignedCertificate } from "../../src/platform/certificates/self-signed-certificate.ts";
import { digestOf } from "../protocol/content.ts";
import { requirement } from "../support/requirement.ts";
import { startServer, type TestServer } from "../support/server.ts";

import { earlyAnswer } from "./early-answer.ts";
import { type Answered, curl, type Sent, type Version } from "./curl.ts";

const missing = Bun.which("curl") === null ? "curl is not installed" : undefined;
const dayMs = 24 * 3_600_000;
const mostBytes = 4_000_000;
const manifestType = "application/vnd.oci.image.manifest.v1+json";
const indexType = "application/vnd.oci.image.index.v1+json";

/** The same bytes for both. */
const blob = Buffer.alloc(3_000_000, "a blob of 3 MB, again and again; ");
const other = Buffer.from("another blob");
const config = Buffer.from("{}");
const descriptor = (bytes: Uint8Array, mediaType: string) => ({
  mediaType,
  digest: digestOf(bytes),
  size: bytes.byteLength,
});
const manifest = JSON.stringify({
  schemaVersion: 2,
  mediaType: manifestType,
  config: descriptor(config, "application/vnd.oci.empty.v1+json"),
  layers: [descriptor(blob, "application/octet-stream")],
});
const referrer = JSON.stringify({
  schemaVersion: 2,
  mediaType: manifestType,
  artifactType: "application/vnd.example",
  config: descriptor(config, "application/vnd.oci.empty.v1+json"),
  layers: [],
  subject: descriptor(Buffer.from(manifest), manifestType),
});

interface Step extends Sent {
  readonly path: string;
  readonly status: number;
  readonly anonymous?: true;
  /** The answer comes before the body has. */
  readonly early?: true;
  /** The address of the upload is the answer's `Location`, for `UPLOAD` in the paths that come. */
  readonly beginsUpload?: true;
}

const json = { "content-type": manifestType };
const octets = { "content-type": "application/octet-stream" };
const blobPath = `/v2/a/b/blobs/${digestOf(blob)}`;
const absent = digestOf(Buffer.from("absent"));

/** Everything that the registry does, in an order in which each finds what it needs. */
const steps: Readonly<Record<string, Step>> = {
  "a challenge": { path: "/v2/", status: 401, anonymous: true },
  "a sign-in": { path: "/v2/", status: 200 },
  "an upload begun": { method: "POST", path: "/v2/a/b/blobs/uploads/", status: 202, beginsUpload: true },
  "a chunk without a length": {
    method: "PATCH",
    path: "UPLOAD",
    body: blob,
    streamed: true,
    headers: octets,
    status: 202,
  },
  "the state of an upload": { path: "UPLOAD", status: 204 },
  "a chunk out of order": {
    method: "PATCH",
    path: "UPLOAD",
    body: "late",
    headers: { ...octets, "content-range": "7-10" },
    status: 416,
  },
  "an end with another digest": { method: "PUT", path: `UPLOAD?digest=${absent}`, status: 400 },
  "an upload begun again": { method: "POST", path: "/v2/a/b/blobs/uploads/", status: 202, beginsUpload: true },
  "a chunk with a length": { method: "PATCH", path: "UPLOAD", body: blob, headers: octets, status: 202 },
  "an end": { method: "PUT", path: `UPLOAD?digest=${digestOf(blob)}`, status: 201 },
  "a blob in one request": {
    method: "POST",
    path: `/v2/a/b/blobs/uploads/?digest=${digestOf(config)}`,
    body: config,
    headers: octets,
    status: 201,
  },
  "an upload to be given up": { method: "POST", path: "/v2/a/b/blobs/uploads/", status: 202, beginsUpload: true },
  "an end with its bytes, streamed": {
    method: "PUT",
    path: `UPLOAD?digest=${digestOf(other)}`,
    body: other,
    streamed: true,
    headers: octets,
    status: 201,
  },
  "an upload once more": { method: "POST", path: "/v2/a/b/blobs/uploads/", status: 202, beginsUpload: true },
  "an upload given up": { method: "DELETE", path: "UPLOAD", status: 204 },
  "an upload that is gone": { path: "UPLOAD", status: 404 },
  "a mount": {
    method: "POST",
    path: `/v2/c/d/blobs/uploads/?mount=${digestOf(blob)}&from=a/b`,
    status: 201,
  },
  "a mount of nothing": { method: "POST", path: `/v2/c/d/blobs/uploads/?mount=${absent}&from=a/b`, status: 202 },
  "a blob that is too large, with its length": {
    early: true,
    method: "POST",
    path: `/v2/a/b/blobs/uploads/?digest=${absent}`,
    body: Buffer.alloc(mostBytes + 1),
    headers: octets,
    status: 413,
  },
  "a blob that is too large, streamed": {
    early: true,
    method: "POST",
    path: `/v2/a/b/blobs/uploads/?digest=${absent}`,
    body: Buffer.alloc(mostBytes + 1),
    streamed: true,
    headers: octets,
    status: 413,
  },
  "a body for nobody": {
    early: true,
    method: "POST",
    path: `/v2/a/b/blobs/uploads/?digest=${absent}`,
    body: Buffer.alloc(30_000_000),
    streamed: true,
    headers: octets,
    anonymous: true,
    status: 401,
  },
  "a blob's head": { method: "HEAD", path: blobPath, status: 200 },
  "a blob": { path: blobPath, status: 200 },
  "a part": { path: blobPath, headers: { range: "bytes=1000-2000999" }, status: 206 },
  "the end of a blob": { path: blobPath, headers: { range: "bytes=-5" }, status: 206 },
  "two parts": { path: blobPath, headers: { range: "bytes=0-4,10-14" }, status: 206 },
  "a part beyond the end": { path: blobPath, headers: { range: "bytes=9000000-" }, status: 416 },
  "no blob's head": { method: "HEAD", path: `/v2/a/b/blobs/${absent}`, status: 404 },
  "no blob": { path: `/v2/a/b/blobs/${absent}`, status: 404 },
  "a manifest put": { method: "PUT", path: "/v2/a/b/manifests/one", body: manifest, headers: json, status: 201 },
  "a manifest put where there is one": {
    method: "PUT",
    path: "/v2/a/b/manifests/one",
    body: manifest,
    headers: { ...json, "if-none-match": "*" },
    status: 412,
  },
  "a manifest streamed": {
    method: "PUT",
    path: "/v2/a/b/manifests/two",
    body: manifest,
    streamed: true,
    headers: json,
    status: 201,
  },
  "a referrer put": {
    method: "PUT",
    path: `/v2/a/b/manifests/${digestOf(Buffer.from(referrer))}`,
    body: referrer,
    headers: json,
    status: 201,
  },
  "no manifest put": { method: "PUT", path: "/v2/a/b/manifests/x", body: "{", headers: json, status: 400 },
  "a manifest of what is not there": {
    method: "PUT",
    path: "/v2/a/b/manifests/x",
    body: manifest.replaceAll(digestOf(blob), absent),
    headers: json,
    status: 400,
  },
  "a manifest that is too large": {
    early: true,
    method: "PUT",
    path: "/v2/a/b/manifests/x",
    body: Buffer.alloc(4 * 1024 * 1024 + 1, " "),
    headers: json,
    status: 413,
  },
  "a manifest": { path: "/v2/a/b/manifests/one", headers: { accept: `${manifestType}, ${indexType}` }, status: 200 },
  "a manifest by its digest": { path: `/v2/a/b/manifests/${digestOf(Buffer.from(manifest))}`, status: 200 },
  "a manifest's head": { method: "HEAD", path: "/v2/a/b/manifests/one", status: 200 },
  "no manifest": { path: "/v2/a/b/manifests/none", status: 404 },
  referrers: { path: `/v2/a/b/referrers/${digestOf(Buffer.from(manifest))}`, status: 200 },
  "referrers of a type": {
    path: `/v2/a/b/referrers/${digestOf(Buffer.from(manifest))}?artifactType=application/vnd.none`,
    status: 200,
  },
  tags: { path: "/v2/a/b/tags/list?n=1", status: 200 },
  "tags of nothing": { path: "/v2/no/where/tags/list", status: 404 },
  "a catalog": { path: "/v2/_catalog", status: 200 },
  "a page of nonsense": { path: "/v2/a/b/tags/list?n=x", status: 400 },
  "no endpoint": { path: "/v2/a/b/nothing/at/all", status: 404 },
  "a name that is none": { path: "/v2/A/b/tags/list", status: 400 },
  "dot segments": { path: "/v2/a/%2e%2e/b/tags/list", status: 400 },
  "another method": { method: "PATCH", path: "/v2/a/b/manifests/one", status: 405 },
  "a push by nobody": { method: "POST", path: "/v2/a/b/blobs/uploads/", anonymous: true, status: 401 },
  "a tag deleted": { method: "DELETE", path: "/v2/a/b/manifests/two", status: 202 },
  "a blob deleted": { method: "DELETE", path: `/v2/a/b/blobs/${digestOf(other)}`, status: 202 },
  "nothing deleted": { method: "DELETE", path: `/v2/a/b/blobs/${absent}`, status: 404 },
  health: { path: "/healthz", status: 200 },
  readiness: { path: "/readyz", status: 200 },
};

/** Of the connection or of the moment. */
const besides = new Set(["date", "connection", "keep-alive", "transfer-encoding", "x-request-id"]);

interface Comparable {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** Without what two servers cannot have in common. */
function comparable({ status, headers, body }: Answered, server: TestServer): Comparable {
  const [, boundary] = /boundary=(\S+)/.exec(headers.get("content-type") ?? "") ?? [];
  const common = (text: string): string => {
    const same = text.replaceAll(server.host, "HOST").replaceAll(/[\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12}/g, "ID");
    return boundary === undefined ? same : same.replaceAll(boundary, "BOUNDARY");
  };
  const kept = [...headers].filter(([name]) => !besides.has(name)).map(([name, value]) => [name, common(value)]);
  return {
    status,
    headers: Object.fromEntries(kept.toSorted(([a = ""], [b = ""]) => (a < b ? -1 : 1))) as Record<string, string>,
    body: body.byteLength > 100_000 ? digestOf(body) : common(body.toString("latin1")),
  };
}

requirement("HTTP/2", missing, () => {
  let folder = "";
  let servers: Readonly<Record<Version, TestServer>>;
  const uploads = new Map<Version, string>();
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "berth-http2-"));
    const [from, until] = [new Date(Date.now() - dayMs), new Date(Date.now() + dayMs)];
    const { certPem, keyPem } = selfSignedCertificate({ hosts: ["127.0.0.1"], from, until });
    await writeFile(join(folder, "tls.crt"), certPem);
    await writeFile(join(folder, "tls.key"), keyPem);
    const env = {
      BERTH_TLS_CERT_FILE: join(folder, "tls.crt"),
      BERTH_TLS_KEY_FILE: join(folder, "tls.key"),
      BERTH_UPLOADS_MAX_BYTES: String(mostBytes),
    };
    servers = { "1.1": await startServer({ env }), "2": await startServer({ env }) };
  }, 60_000);
  afterAll(async () => {
    for (const server of Object.values(servers)) await server[Symbol.asyncDispose]();
    await rm(folder, { recursive: true, force: true });
  });

  async function ask(
    version: Version,
    { path, anonymous, beginsUpload, early, headers = {}, ...sent }: Step,
  ): Promise<Comparable> {
    const server = servers[version];
    const { username, password } = server.admin;
    const authorization = anonymous === true ? {} : { authorization: `Basic ${btoa(`${username}:${password}`)}` };
    const target = path.replace("UPLOAD", uploads.get(version) ?? "");
    const url = `${server.url}${target}`;
    const whole = { ...sent, headers: { ...headers, ...authorization } };
    const answered = await (version === "2" && early === true ? earlyAnswer(url, whole) : curl(version, url, whole));
    if (beginsUpload === true) uploads.set(version, answered.headers.get("location") ?? "");
    return comparable(answered, server);
  }

  describe("answers as HTTP/1.1 does", () => {
    for (const [name, step] of Object.entries(steps)) {
      it(
        name,
        async () => {
          const older = await ask("1.1", step);
          const newer = await ask("2", step);
          expect(older.status, older.body).toBe(step.status);
          expect(newer).toEqual(older);
          expect(Object.keys(newer.headers).length).toBeGreaterThan(1);
        },
        60_000,
      );
    }
  });

  it("sees a header that differs", async () => {
    const answered = await curl("2", `${servers["2"].url}/healthz`);
    const without = new Map([...answered.headers].filter(([header]) => header !== "cache-control"));
    const [server] = [servers["2"]];
    expect(comparable({ ...answered, headers: without }, server)).not.toEqual(comparable(answered, server));
  });
});
