import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { bytesOf, emptyJson, manifestOf, partOf, sha256, sha512, types } from "./content.ts";
import { finishAt, type GetToken, needed, openWire, readAndHangUp, type Reply, seedBlob } from "./wire.ts";
import { tokenOf, type Wire } from "./wire.ts";

setDefaultTimeout(60_000);

/** containerd asks by POST whenever it has a secret, with all scopes in one field. */
const tokenByPost: GetToken = async (wire, challenge, scopes) => {
  const { username, password } = wire.server.admin;
  const form = new URLSearchParams({
    ...(scopes.length === 0 ? {} : { scope: scopes.join(" ") }),
    service: challenge.service,
    client_id: "containerd-client",
    grant_type: "password",
    username,
    password,
  });
  const headers = { "content-type": "application/x-www-form-urlencoded; charset=utf-8" };
  const body = form.toString();
  return tokenOf(await wire.sendOnce({ method: "POST", path: challenge.realm, headers, body })).token;
};

const octets = { "content-type": "application/octet-stream" };
const encodings = { "accept-encoding": "zstd;q=1.0, gzip;q=0.8, deflate;q=0.5" };

/** The 201's digest, where there is one, must be the one that was pushed. */
const expectCreated = (reply: Reply, digest: string): void => {
  expect(reply.status).toBe(201);
  expect(needed(reply, "docker-content-digest")).toBe(digest);
};

describe("containerd 2", () => {
  let wire: Wire;
  const layer = bytesOf(1, 3_000_000);
  const layerPart = partOf(types.layer, layer);

  beforeAll(async () => {
    wire = await openWire({ userAgent: "containerd/v2.2.0", getToken: tokenByPost });
  });

  afterAll(async () => {
    await wire?.[Symbol.asyncDispose]();
  });

  /** Anything but 200 and 404 ends the push. */
  const exists = async (path: string, mediaType: string): Promise<number> => {
    const scopes = [`repository:${path.split("/").slice(2, 4).join("/")}:pull,push`];
    const reply = await wire.send({ method: "HEAD", path, headers: { accept: `${mediaType}, */*` }, scopes });
    expect(reply.body).toHaveLength(0);
    return reply.status;
  };

  test("pushes a blob in one PUT, and HEAD finds it from then on", async () => {
    const path = `/v2/team/app/blobs/${layerPart.digest}`;
    expect(await exists(path, types.layer)).toBe(404);
    const opened = await wire.send({ method: "POST", path: "/v2/team/app/blobs/uploads/" });
    expect(opened.status).toBe(202);
    const put = await wire.send({
      method: "PUT",
      path: finishAt(opened, wire, layerPart.digest),
      headers: octets,
      body: layer,
    });
    expectCreated(put, layerPart.digest);
    expect(await exists(path, types.layer)).toBe(200);
  });

  test("keeps the query of the Location and adds the digest behind it", async () => {
    const blob = bytesOf(2, 1000);
    const opened = await wire.send({ method: "POST", path: "/v2/team/app/blobs/uploads/" });
    const url = new URL(needed(opened, "location"), wire.server.url);
    // A proxy in between may have added something of its own.
    url.searchParams.set("by", "a proxy");
    url.searchParams.set("digest", sha256(blob));
    url.searchParams.set("ns", "registry.test");
    expectCreated(await wire.send({ method: "PUT", path: url.href, headers: octets, body: blob }), sha256(blob));
  });

  test("mounts from the repository it knows, and gets an upload where that fails", async () => {
    const mount = (from: string) =>
      wire.send({
        method: "POST",
        path: `/v2/other/app/blobs/uploads/?mount=${layerPart.digest}&from=${from}`,
        scopes: ["repository:other/app:pull,push", `repository:${from}:pull`],
      });
    const mounted = await mount("team/app");
    expectCreated(mounted, layerPart.digest);
    expect(needed(mounted, "location")).toEndWith(`/v2/other/app/blobs/${layerPart.digest}`);
    expect(await exists(`/v2/other/app/blobs/${layerPart.digest}`, types.layer)).toBe(200);

    const blob = bytesOf(3, 1000);
    const path = `/v2/other/app/blobs/uploads/?mount=${sha256(blob)}&from=no/such`;
    const opened = await wire.send({ method: "POST", path, scopes: ["repository:no/such:pull"] });
    expect(opened.status).toBe(202);
    const target = finishAt(opened, wire, sha256(blob));
    expectCreated(await wire.send({ method: "PUT", path: target, headers: octets, body: blob }), sha256(blob));
  });

  test("pushes manifests by digest and by tag, with sha512 as well, and resolves each by HEAD", async () => {
    await seedBlob(wire, "team/app", emptyJson);
    const manifest = manifestOf(partOf(types.config, emptyJson), [layerPart]);
    for (const [reference, digest] of [
      ["1.0", sha256(manifest)],
      [sha256(manifest), sha256(manifest)],
      [sha512(manifest), sha512(manifest)],
    ] as const) {
      const path = `/v2/team/app/manifests/${reference}`;
      expect([200, 404]).toContain(await exists(path, types.manifest));
      const headers = { "content-type": types.manifest };
      expectCreated(await wire.send({ method: "PUT", path, headers, body: manifest }), digest);

      const accept = `${types.dockerManifest}, ${types.dockerList}, ${types.manifest}, ${types.index}, */*`;
      const resolved = await wire.send({ method: "HEAD", path, headers: { accept } });
      expect(resolved.status).toBe(200);
      expect(needed(resolved, "docker-content-digest")).toBe(digest);
      expect(needed(resolved, "content-length")).toBe(String(manifest.length));
      expect(needed(resolved, "content-type")).toBe(types.manifest);
    }
  });

  test("falls from an unknown manifest to the blob of the same digest", async () => {
    const manifest = await wire.send({ method: "HEAD", path: `/v2/team/app/manifests/${layerPart.digest}` });
    expect(manifest.status).toBe(404);
    const blob = await wire.send({ method: "HEAD", path: `/v2/team/app/blobs/${layerPart.digest}` });
    expect(blob.status).toBe(200);
    expect(needed(blob, "content-length")).toBe(String(layerPart.size));
  });

  test("fetches one layer in parallel by open-ended ranges that it leaves early", async () => {
    const digest = await seedBlob(wire, "library/large", bytesOf(4, 16 * 1024 * 1024));
    const whole = bytesOf(4, 16 * 1024 * 1024);
    const chunkBytes = 1024 * 1024;
    const path = `/v2/library/large/blobs/${digest}`;
    const token = await anonymousToken("library/large");
    const chunk = async (index: number): Promise<Buffer> => {
      const offset = index * chunkBytes;
      const range = { Accept: `${types.layer}, */*`, Range: `bytes=${offset}-`, ...encodings };
      const headers = { Authorization: `Bearer ${token}`, ...range };
      const { head, body } = await readAndHangUp(wire, { path, headers }, chunkBytes);
      expect(head).toStartWith("HTTP/1.1 206 ");
      expect(head.toLowerCase()).toContain(`content-range: bytes ${offset}-${whole.length - 1}/${whole.length}`);
      // Compressed in transit, the chunks would not fit together.
      expect(head.toLowerCase()).not.toContain("content-encoding");
      expect(head.toLowerCase()).toContain(`content-length: ${whole.length - offset}`);
      return body;
    };
    const indexes = Array.from({ length: whole.length / chunkBytes }, (_, index) => index);
    expect(sha256(Buffer.concat(await Promise.all(indexes.map(chunk))))).toBe(digest);

    // Nothing that hung up is left behind to disturb the next one, however often it happens.
    for (let round = 0; round < 8; round += 1) await Promise.all(indexes.map(chunk));
    const again = await wire.send({ method: "GET", path, headers: { accept: "*/*", ...encodings } });
    expect(again.status).toBe(200);
    expect(sha256(again.body)).toBe(digest);
  });

  test("takes up a broken transfer where it ended", async () => {
    const path = `/v2/team/app/blobs/${layerPart.digest}`;
    const headers = { accept: `${types.layer}, */*`, range: "bytes=1234567-", ...encodings };
    const rest = await wire.send({ method: "GET", path, headers });
    expect(rest.status).toBe(206);
    expect(needed(rest, "content-range")).toBe(`bytes 1234567-${layer.length - 1}/${layer.length}`);
    expect(rest.body.equals(layer.subarray(1_234_567))).toBe(true);
  });

  test("reads through a mirror: ?ns= changes nothing", async () => {
    const manifest = await wire.send({ method: "HEAD", path: "/v2/team/app/manifests/1.0?ns=docker.io" });
    expect(manifest.status).toBe(200);
    const digest = needed(manifest, "docker-content-digest");
    for (const path of [
      `/v2/team/app/manifests/${digest}?ns=docker.io`,
      `/v2/team/app/blobs/${layerPart.digest}?ns=docker.io`,
      `/v2/team/app/referrers/${digest}?ns=docker.io`,
    ]) {
      expect((await wire.send({ method: "GET", path, headers: { accept: "*/*", ...encodings } })).status).toBe(200);
    }
  });

  test("asks for referrers of several artifact types at once and reads one page", async () => {
    const subject = bytesOf(5, 32);
    const subjectPart = { ...partOf(types.manifest, subject), size: 32 };
    for (const artifactType of ["application/vnd.test.sbom", "application/vnd.test.signature"]) {
      const body = manifestOf(partOf(types.empty, emptyJson), [], { artifactType, subject: subjectPart });
      const path = `/v2/team/app/manifests/${sha256(body)}`;
      const put = await wire.send({ method: "PUT", path, headers: { "content-type": types.manifest }, body });
      expectCreated(put, sha256(body));
    }
    const query = "artifactType=application%2Fvnd.test.sbom&artifactType=application%2Fvnd.test.signature";
    const path = `/v2/team/app/referrers/${subjectPart.digest}?${query}`;
    const reply = await wire.send({ method: "GET", path, headers: { accept: `${types.index}, */*`, ...encodings } });
    expect(reply.status).toBe(200);
    const index = JSON.parse(reply.body.toString()) as { readonly manifests: readonly { artifactType: string }[] };
    // It filters again on its own, so what it needs is that none of the wanted ones is left out.
    const found = index.manifests.map((entry) => entry.artifactType).toSorted();
    expect(found).toEqual(["application/vnd.test.sbom", "application/vnd.test.signature"]);
  });

  test("stops after one retry when the token is not enough, because the challenge names the error", async () => {
    const token = await anonymousToken("library/large");
    const headers = { authorization: `Bearer ${token}` };
    const reply = await wire.sendOnce({ method: "POST", path: "/v2/library/large/blobs/uploads/", headers });
    expect(reply.status).toBe(401);
    expect(needed(reply, "www-authenticate")).toMatch(/error="insufficient_scope"/);
  });

  /** Without a secret containerd asks by GET and sends no credentials. */
  async function anonymousToken(repository: string): Promise<string> {
    const path = new URL("/v2/", wire.server.url).href;
    const challenge = needed(await wire.sendOnce({ method: "GET", path }), "www-authenticate");
    const realm = new URL(/realm="([^"]*)"/.exec(challenge)?.[1] ?? "");
    realm.searchParams.set("service", /service="([^"]*)"/.exec(challenge)?.[1] ?? "");
    realm.searchParams.append("scope", `repository:${repository}:pull`);
    return tokenOf(await wire.sendOnce({ method: "GET", path: realm.href })).token;
  }
});
