import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { bytesOf, emptyJson, manifestOf, partOf, sha256, sha512, types } from "./content.ts";
import { needed, openWire, type Reply, seedBlob, tokenByGet, type Wire } from "./wire.ts";

setDefaultTimeout(60_000);

const octets = { "content-type": "application/octet-stream" };
const accept = [
  types.index,
  types.manifest,
  types.dockerList,
  types.dockerManifest,
  "application/vnd.docker.distribution.manifest.v1+prettyjws",
  "application/vnd.docker.distribution.manifest.v1+json",
  "application/vnd.oci.artifact.manifest.v1+json",
].join(", ");

/** regctl adds the digest to the query as text, behind whatever is there. */
function finishByText(location: string, digest: string): string {
  const url = new URL(location);
  url.search = `${url.search === "" ? "?" : `${url.search}&`}digest=${encodeURIComponent(digest)}`;
  return url.href;
}

/** Where to go on: one behind the last byte that the answer's Range names. */
const nextOffset = (reply: Reply): number => Number(needed(reply, "range").split("-").slice(1).join("-")) + 1;

describe("regctl 0.11", () => {
  let wire: Wire;

  beforeAll(async () => {
    wire = await openWire({ userAgent: "regclient/regctl (v0.11.7)", getToken: tokenByGet(), widensToken: true });
  });

  afterAll(async () => {
    await wire?.[Symbol.asyncDispose]();
  });

  const locationOf = (reply: Reply, from: string): string =>
    new URL(needed(reply, "location"), new URL(from, wire.server.url)).href;

  const mountAnywhere = (repository: string, digest: string): Promise<Reply> =>
    wire.send({ method: "POST", path: `/v2/${repository}/blobs/uploads/?mount=${encodeURIComponent(digest)}` });

  async function open(repository: string, query = ""): Promise<string> {
    const path = `/v2/${repository}/blobs/uploads/${query}`;
    const reply = await wire.send({ method: "POST", path });
    expect(reply.status).toBe(202);
    return locationOf(reply, path);
  }

  const patch = (path: string, bytes: Uint8Array, offset: number): Promise<Reply> =>
    wire.send({
      method: "PATCH",
      path,
      headers: { ...octets, "content-range": `${offset}-${offset + bytes.length - 1}` },
      body: bytes,
    });

  async function putManifest(path: string, body: Buffer): Promise<Reply> {
    const reply = await wire.send({ method: "PUT", path, headers: { "content-type": types.manifest }, body });
    expect(reply.status).toBe(201);
    return reply;
  }

  test("starts every blob by a mount that names no source, and puts the whole of it where the 202 says", async () => {
    const blob = bytesOf(1, 200_000);
    const digest = sha256(blob);
    const opened = await mountAnywhere("team/app", digest);
    expect(opened.status).toBe(202);
    needed(opened, "docker-upload-uuid");
    const path = finishByText(locationOf(opened, "/v2/team/app/blobs/uploads/"), digest);
    const put = await wire.send({ method: "PUT", path, headers: octets, body: blob });
    expect(put.status).toBe(201);
    const head = await wire.send({ method: "HEAD", path: `/v2/team/app/blobs/${digest}` });
    expect(head.status).toBe(200);
    expect(needed(head, "content-length")).toBe("200000");

    // The same blob for another repository is mounted: the account may read it where it is.
    const again = await mountAnywhere("team/second", digest);
    expect(again.status).toBe(201);
    expect(needed(again, "docker-content-digest")).toBe(digest);
    expect((await wire.send({ method: "HEAD", path: `/v2/team/second/blobs/${digest}` })).status).toBe(200);
  });

  test("sends chunks with their range and finishes with an empty PUT", async () => {
    const blob = bytesOf(2, 250_000);
    let path = await open("team/app");
    for (let offset = 0; offset < blob.length; offset += 100_000) {
      const reply = await patch(path, blob.subarray(offset, offset + 100_000), offset);
      expect(reply.status).toBe(202);
      expect(nextOffset(reply)).toBe(Math.min(offset + 100_000, blob.length));
      path = locationOf(reply, path);
    }
    const put = await wire.send({ method: "PUT", path: finishByText(path, sha256(blob)), headers: octets });
    expect(put.status).toBe(201);
  });

  test("resumes after a chunk that was refused, from the Location and Range of the refusal", async () => {
    const blob = bytesOf(3, 90_000);
    let path = await open("team/app");
    const first = await patch(path, blob.subarray(0, 30_000), 0);
    path = locationOf(first, path);
    // The answer to this chunk was lost, so it comes a second time.
    expect((await patch(path, blob.subarray(30_000, 60_000), 30_000)).status).toBe(202);
    const repeated = await patch(path, blob.subarray(30_000, 60_000), 30_000);
    expect(repeated.status).toBe(416);
    expect(nextOffset(repeated)).toBe(60_000);
    path = locationOf(repeated, path);
    const last = await patch(path, blob.subarray(60_000), 60_000);
    expect(last.status).toBe(202);
    path = locationOf(last, path);
    const put = await wire.send({ method: "PUT", path: finishByText(path, sha256(blob)), headers: octets });
    expect(put.status).toBe(201);
  });

  test("starts over when the first chunk failed: the status of an empty upload counts as offset 0", async () => {
    const blob = bytesOf(4, 1000);
    let path = await open("team/app");
    const ahead = await patch(path, blob, 500);
    expect(ahead.status).toBe(416);
    // regctl goes on behind the end of a Range that it finds here; without one it asks for the status.
    if (ahead.headers.has("range")) expect(nextOffset(ahead)).toBe(0);
    const status = await wire.send({ method: "GET", path });
    expect(status.status).toBe(204);
    expect(nextOffset(status)).toBe(0);
    path = locationOf(status, path);
    const sent = await patch(path, blob, 0);
    expect(sent.status).toBe(202);
    const put = await wire.send({
      method: "PUT",
      path: finishByText(locationOf(sent, path), sha256(blob)),
      headers: octets,
    });
    expect(put.status).toBe(201);
  });

  test("pushes sha512 content: digest-algorithm for blobs, ?tag= and OCI-Tag for manifests", async () => {
    const blob = bytesOf(5, 50_000);
    const digest = sha512(blob);
    const path = await open("team/sha512", "?digest-algorithm=sha512");
    const sent = await patch(path, blob, 0);
    expect(sent.status).toBe(202);
    const put = await wire.send({
      method: "PUT",
      path: finishByText(locationOf(sent, path), digest),
      headers: octets,
    });
    expect(put.status).toBe(201);
    expect(needed(put, "docker-content-digest")).toBe(digest);
    await seedBlob(wire, "team/sha512", emptyJson);

    const body = manifestOf(partOf(types.empty, emptyJson), [{ mediaType: types.layer, digest, size: blob.length }]);
    const pushed = await putManifest(`/v2/team/sha512/manifests/${sha512(body)}?tag=v1`, body);
    expect(needed(pushed, "docker-content-digest")).toBe(sha512(body));
    expect(needed(pushed, "oci-tag").split(/, */)).toContain("v1");
    const head = await wire.send({ method: "HEAD", path: "/v2/team/sha512/manifests/v1", headers: { accept } });
    expect(head.status).toBe(200);
    expect(needed(head, "docker-content-digest")).toBe(sha512(body));
  });

  test("deletes a tag, and that tag alone", async () => {
    await seedBlob(wire, "team/tags", emptyJson);
    const body = manifestOf(partOf(types.empty, emptyJson), []);
    for (const tag of ["one", "two"]) await putManifest(`/v2/team/tags/manifests/${tag}`, body);
    const scopes = ["repository:team/tags:delete"];
    const deleted = await wire.send({ method: "DELETE", path: "/v2/team/tags/manifests/one", scopes });
    expect(deleted.status).toBe(202);
    for (const [reference, status] of [
      ["one", 404],
      ["two", 200],
      [sha256(body), 200],
    ] as const) {
      const path = `/v2/team/tags/manifests/${reference}`;
      expect((await wire.send({ method: "HEAD", path, headers: { accept } })).status).toBe(status);
    }
  });

  test("attaches an artifact without writing the fallback tag, and lists it", async () => {
    const subject = { ...partOf(types.manifest, bytesOf(6, 60)) };
    const artifactType = "application/vnd.test.sbom";
    const body = manifestOf(partOf(types.empty, emptyJson), [], { artifactType, subject });
    const put = await putManifest(`/v2/team/tags/manifests/${sha256(body)}`, body);
    expect(needed(put, "oci-subject")).toBe(subject.digest);
    const query = `?artifactType=${encodeURIComponent(artifactType)}`;
    const path = `/v2/team/tags/referrers/${subject.digest}${query}`;
    const listed = await wire.send({ method: "GET", path });
    expect(listed.status).toBe(200);
    expect(needed(listed, "content-type")).toBe(types.index);
    const { manifests } = JSON.parse(listed.body.toString()) as { readonly manifests: readonly { digest: string }[] };
    expect(manifests.map((entry) => entry.digest)).toEqual([sha256(body)]);
  });

  test("cancels an upload that it gave up", async () => {
    const path = await open("team/app");
    const cancelled = await wire.send({ method: "DELETE", path });
    expect(cancelled.status).toBe(204);
    expect((await wire.send({ method: "GET", path })).status).toBe(404);
  });
});
