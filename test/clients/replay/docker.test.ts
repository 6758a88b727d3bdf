import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { bytesOf, partOf, sha256, types } from "./content.ts";
import { basic, challengeOf, errorCodeOf, finishAt, needed, openWire, seedBlob } from "./wire.ts";
import { tokenByGet, tokenOf, type Reply, type Wire } from "./wire.ts";

setDefaultTimeout(60_000);

const userAgent =
  "docker/28.5.1 go/go1.24.8 git-commit/f8215cc kernel/6.8.0-85-generic os/linux arch/amd64 " +
  "UpstreamClient(Docker-Client/28.5.1 \\(linux\\))";
const octets = { "content-type": "application/octet-stream" };
const accept = [
  "application/vnd.docker.distribution.manifest.v1+prettyjws",
  "application/json",
  types.dockerManifest,
  types.dockerList,
  types.index,
  types.manifest,
].join(", ");

/** The engine reads the end of what it streamed, and refuses an answer whose end lies before its start. */
const expectRange = (reply: Reply, sentBytes: number): void => {
  const [, start, end] = /^(\d+)-(\d+)$/.exec(needed(reply, "range")) ?? [];
  expect(Number(end)).toBeGreaterThanOrEqual(Number(start));
  expect(Number(end) - Number(start) + 1).toBe(sentBytes);
};

describe("docker engine 28", () => {
  let wire: Wire;

  beforeAll(async () => {
    wire = await openWire({ userAgent, getToken: tokenByGet({ account: "admin" }) });
  });

  afterAll(async () => {
    await wire?.[Symbol.asyncDispose]();
  });

  async function streamBlob(repository: string, pieces: readonly Uint8Array[]): Promise<string> {
    const digest = sha256(Buffer.concat(pieces));
    const blob = `/v2/${repository}/blobs/${digest}`;
    const scopes = [`repository:${repository}:push,pull`];
    expect((await wire.send({ method: "HEAD", path: blob, scopes })).status).toBe(404);
    const opened = await wire.send({ method: "POST", path: `/v2/${repository}/blobs/uploads/`, scopes });
    expect(opened.status).toBe(202);
    needed(opened, "docker-upload-uuid");
    const location = new URL(needed(opened, "location"), wire.server.url).href;
    const patched = await wire.send({ method: "PATCH", path: location, body: pieces, scopes });
    expect(patched.status).toBe(202);
    needed(patched, "docker-upload-uuid");
    expectRange(
      patched,
      pieces.reduce((total, piece) => total + piece.byteLength, 0),
    );
    const put = await wire.send({ method: "PUT", path: finishAt(patched, wire, digest), scopes });
    expect(put.status).toBe(201);
    const found = await wire.send({ method: "HEAD", path: blob, scopes });
    expect(found.status).toBe(200);
    expect(needed(found, "content-length")).toBe(String(Buffer.concat(pieces).length));
    return digest;
  }

  test("logs in: the ping says Bearer, a token without scope opens it, a refresh token renews it", async () => {
    const ping = await wire.sendOnce({ method: "GET", path: "/v2/" });
    expect(ping.status).toBe(401);
    expect(needed(ping, "docker-distribution-api-version")).toBe("registry/2.0");
    const challenge = challengeOf(ping);
    expect(challenge.scope).toBeUndefined();

    const realm = new URL(challenge.realm);
    realm.search = new URLSearchParams({
      account: "admin",
      client_id: "docker",
      offline_token: "true",
      service: challenge.service,
    }).toString();
    const wrong = { authorization: `Basic ${btoa("admin:wrong")}` };
    const refused = await wire.sendOnce({ method: "GET", path: realm.href, headers: wrong });
    expect(refused.status).toBe(401);
    const reply = await wire.sendOnce({ method: "GET", path: realm.href, headers: { authorization: basic(wire) } });
    const { token, refreshToken } = tokenOf(reply);
    expect(JSON.parse(reply.body.toString())).toHaveProperty("token", token);
    const opened = await wire.sendOnce({ method: "GET", path: "/v2/", headers: { authorization: `Bearer ${token}` } });
    expect(opened.status).toBe(200);

    // Stored instead of the password, and from then on sent by POST.
    if (refreshToken === undefined) throw new Error("no refresh token, though offline_token was asked for");
    const form = new URLSearchParams({
      client_id: "docker",
      grant_type: "refresh_token",
      refresh_token: refreshToken,
      scope: "repository:team/app:push,pull",
      service: challenge.service,
    });
    const headers = { "content-type": "application/x-www-form-urlencoded" };
    const renewed = await wire.sendOnce({ method: "POST", path: challenge.realm, headers, body: form.toString() });
    const authorization = `Bearer ${tokenOf(renewed).token}`;
    const path = "/v2/team/app/blobs/uploads/";
    expect((await wire.sendOnce({ method: "POST", path, headers: { authorization } })).status).toBe(202);
  });

  test("streams a blob without length or range and gets a range it can read", async () => {
    await streamBlob("team/app", [bytesOf(1, 100_000), bytesOf(2, 1), bytesOf(3, 65_536)]);
    await streamBlob("team/app", [Buffer.from("x")]);
  });

  test("mounts with from before mount and two scopes, and is told by 202 that it must upload", async () => {
    const digest = await streamBlob("team/app", [bytesOf(4, 5000)]);
    const mount = (blob: string, from: string) =>
      wire.send({
        method: "POST",
        path: `/v2/other/app/blobs/uploads/?from=${encodeURIComponent(from)}&mount=${encodeURIComponent(blob)}`,
        scopes: ["repository:other/app:push,pull", `repository:${from}:pull`],
      });
    expect((await mount(digest, "team/app")).status).toBe(201);
    const found = await wire.send({ method: "HEAD", path: `/v2/other/app/blobs/${digest}` });
    expect(found.status).toBe(200);
    expect(needed(found, "content-length")).toBe("5000");
    const opened = await mount(sha256("never pushed"), "team/app");
    expect(opened.status).toBe(202);
    needed(opened, "docker-upload-uuid");
    needed(opened, "location");
  });

  test("pushes a schema 2 manifest and reads its digest from the answer", async () => {
    const config = bytesOf(5, 500);
    const layer = bytesOf(6, 500);
    await streamBlob("team/image", [config]);
    await streamBlob("team/image", [layer]);
    const body = JSON.stringify(
      {
        schemaVersion: 2,
        mediaType: types.dockerManifest,
        config: partOf("application/vnd.docker.container.image.v1+json", config),
        layers: [partOf("application/vnd.docker.image.rootfs.diff.tar.gzip", layer)],
      },
      null,
      3,
    );
    const path = "/v2/team/image/manifests/latest";
    const put = await wire.send({ method: "PUT", path, headers: { "content-type": types.dockerManifest }, body });
    expect(put.status).toBe(201);
    expect(needed(put, "docker-content-digest")).toBe(sha256(body));

    const head = await wire.send({ method: "HEAD", path, headers: { accept } });
    expect(head.status).toBe(200);
    expect(needed(head, "content-type")).toBe(types.dockerManifest);
    expect(needed(head, "content-length")).toBe(String(body.length));
    expect(needed(head, "docker-content-digest")).toBe(sha256(body));
    const get = await wire.send({
      method: "GET",
      path: `/v2/team/image/manifests/${sha256(body)}`,
      headers: { accept },
    });
    expect(get.status).toBe(200);
    expect(get.body.toString()).toBe(body);
    const etag = needed(head, "etag");
    const unchanged = await wire.send({ method: "GET", path, headers: { accept, "if-none-match": etag } });
    expect(unchanged.status).toBe(304);
    expect(unchanged.body).toHaveLength(0);
  });

  test("is refused schema 1 with the code that makes it stop", async () => {
    const body = JSON.stringify({ schemaVersion: 1, name: "team/image", tag: "old", fsLayers: [], history: [] });
    const headers = { "content-type": "application/vnd.docker.distribution.manifest.v1+prettyjws" };
    const put = await wire.send({ method: "PUT", path: "/v2/team/image/manifests/old", headers, body });
    expect(put.status).toBe(400);
    expect(errorCodeOf(put)).toBe("MANIFEST_INVALID");
  });

  test("resumes a broken blob by a range whose end is the last byte", async () => {
    const blob = bytesOf(7, 300_000);
    const digest = await seedBlob(wire, "team/app", blob);
    const path = `/v2/team/app/blobs/${digest}`;
    const reply = await wire.send({ method: "GET", path, headers: { ...octets, range: "bytes=123456-" } });
    expect(reply.status).toBe(206);
    const [, start, end, size] = /^bytes ([0-9]+)-([0-9]+)\/([0-9]+)$/.exec(needed(reply, "content-range")) ?? [];
    expect([start, end, size]).toEqual(["123456", "299999", "300000"]);
    expect(reply.body.equals(blob.subarray(123_456))).toBe(true);
  });

  test("goes on to upload when the repository does not exist yet: HEAD is 404, not 401", async () => {
    const scopes = ["repository:brand/new:push,pull"];
    const path = `/v2/brand/new/blobs/${sha256("nothing")}`;
    expect((await wire.send({ method: "HEAD", path, scopes })).status).toBe(404);
  });

  test("pulls a public image without an account, and nothing else", async () => {
    const digest = await seedBlob(wire, "library/app", bytesOf(8, 100));
    const challenge = challengeOf(await wire.sendOnce({ method: "GET", path: "/v2/" }));
    const read = async (repository: string): Promise<Reply> => {
      const realm = new URL(challenge.realm);
      realm.searchParams.set("service", challenge.service);
      realm.searchParams.set("scope", `repository:${repository}:pull`);
      const { token } = tokenOf(await wire.sendOnce({ method: "GET", path: realm.href }));
      const headers = { authorization: `Bearer ${token}` };
      return wire.sendOnce({ method: "GET", path: `/v2/${repository}/blobs/${digest}`, headers });
    };
    expect((await read("library/app")).status).toBe(200);
    const hidden = await read("team/app");
    const absent = await read("team/no-such");
    expect(hidden.status).toBe(401);
    expect(errorCodeOf(hidden)).toBe("UNAUTHORIZED");
    expect(absent.status).toBe(401);
    expect(errorCodeOf(absent)).toBe("UNAUTHORIZED");
  });
});
