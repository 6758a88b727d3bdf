import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { isIP } from "node:net";
import { bytesOf, emptyJson, manifestOf, partOf, sha256, types } from "./content.ts";
import { errorCodeOf, finishAt, type GetToken, needed, openWire, type Reply, seedBlob } from "./wire.ts";
import { basic, tokenOf, type Wire } from "./wire.ts";

setDefaultTimeout(60_000);

const octets = { "content-type": "application/octet-stream" };

/** ggcr sends every scope in a parameter of its own, and the challenge's whole text as one of them. */
const tokenWithChallenge: GetToken = async (wire, challenge, scopes) => {
  const url = new URL(challenge.realm);
  for (const scope of [...scopes, ...(challenge.scope === undefined ? [] : [challenge.scope])]) {
    url.searchParams.append("scope", scope);
  }
  url.searchParams.set("service", challenge.service);
  const headers = { authorization: basic(wire) };
  return tokenOf(await wire.sendOnce({ method: "GET", path: url.href, headers })).token;
};

describe("go-containerregistry 0.20 (crane, ko)", () => {
  let wire: Wire;
  const layer = bytesOf(1, 120_000);

  beforeAll(async () => {
    const userAgent = "crane/v0.20.6 go-containerregistry/v0.20.6";
    wire = await openWire({ userAgent, getToken: tokenWithChallenge });
  });

  afterAll(async () => {
    await wire?.[Symbol.asyncDispose]();
  });

  /** An absolute Location to a private address is followed only to the very host that was asked. */
  function expectSafe(location: string): void {
    const host = new URL(location, wire.server.url).hostname;
    if (isIP(host) !== 0) expect(host).toBe(new URL(wire.server.url).hostname);
  }

  /** A POST with a JSON type and no body, then the blob with its length, then an empty PUT. */
  async function upload(
    repository: string,
    bytes: Uint8Array,
    body: Uint8Array | readonly Uint8Array[],
  ): Promise<void> {
    const digest = sha256(bytes);
    const scopes = [`repository:${repository}:push,pull`];
    const head = await wire.send({ method: "HEAD", path: `/v2/${repository}/blobs/${digest}`, scopes });
    expect(head.status).toBe(404);
    const opened = await wire.send({
      method: "POST",
      path: `/v2/${repository}/blobs/uploads/`,
      headers: { "content-type": "application/json" },
      scopes,
    });
    expect(opened.status).toBe(202);
    expectSafe(needed(opened, "location"));
    const path = new URL(needed(opened, "location"), wire.server.url).href;
    const patched = await wire.send({ method: "PATCH", path, headers: octets, body, scopes });
    expect(patched.status).toBe(202);
    expectSafe(needed(patched, "location"));
    const put = await wire.send({ method: "PUT", path: finishAt(patched, wire, digest), headers: octets, scopes });
    expect(put.status).toBe(201);
  }

  test("pushes blobs whose length it knows, and streams the others", async () => {
    await upload("team/app", layer, layer);
    const built = bytesOf(2, 80_000);
    await upload("team/app", built, [built.subarray(0, 30_000), built.subarray(30_000)]);
  });

  test("mounts with the origin in the query, and tries without the mount where that is refused", async () => {
    const scopes = ["repository:other/app:push,pull", "repository:team/app:pull"];
    const query = new URLSearchParams({ from: "team/app", mount: sha256(layer), origin: wire.server.host });
    const path = `/v2/other/app/blobs/uploads/?${query.toString()}`;
    const headers = { "content-type": "application/json" };
    expect((await wire.send({ method: "POST", path, headers, scopes })).status).toBe(201);
    expect((await wire.send({ method: "HEAD", path: `/v2/other/app/blobs/${sha256(layer)}` })).status).toBe(200);
  });

  test("resolves by HEAD alone: type, length and digest are all there", async () => {
    await seedBlob(wire, "team/app", emptyJson);
    const body = manifestOf(partOf(types.config, emptyJson), [partOf(types.layer, layer)]);
    const path = "/v2/team/app/manifests/latest";
    const put = await wire.send({ method: "PUT", path, headers: { "content-type": types.manifest }, body });
    expect(put.status).toBe(201);
    for (const accept of [types.manifest, `${types.dockerManifest},${types.manifest},${types.index}`]) {
      const head = await wire.send({ method: "HEAD", path, headers: { accept } });
      expect(head.status).toBe(200);
      expect(needed(head, "content-type")).toBe(types.manifest);
      expect(needed(head, "content-length")).toBe(String(body.length));
      expect(needed(head, "docker-content-digest")).toBe(sha256(body));
    }
  });

  test("asks the referrers endpoint before and after an attachment and never writes the fallback tag", async () => {
    const subject = partOf(types.manifest, bytesOf(3, 30));
    const path = `/v2/team/app/referrers/${subject.digest}`;
    const digests = async (): Promise<readonly string[]> => {
      const reply = await wire.send({ method: "GET", path, headers: { accept: types.index } });
      expect(reply.status).toBe(200);
      expect(needed(reply, "content-type")).toBe(types.index);
      const { manifests } = JSON.parse(reply.body.toString()) as { readonly manifests: readonly { digest: string }[] };
      return manifests.map((entry) => entry.digest);
    };
    expect(await digests()).toEqual([]);
    const body = manifestOf(partOf("application/vnd.test.config.v1+json", emptyJson), [], { subject });
    const target = `/v2/team/app/manifests/${sha256(body)}`;
    const put = await wire.send({ method: "PUT", path: target, headers: { "content-type": types.manifest }, body });
    expect(put.status).toBe(201);
    expect(await digests()).toEqual([sha256(body)]);
    const fallback = `/v2/team/app/manifests/${subject.digest.replace(":", "-")}`;
    expect((await wire.send({ method: "GET", path: fallback, headers: { accept: types.index } })).status).toBe(404);
  });

  test("lists pages of tags over links of the same scheme and host", async () => {
    const body = manifestOf(partOf(types.config, emptyJson), []);
    for (const tag of ["a", "b", "c"]) {
      const path = `/v2/team/app/manifests/${tag}`;
      await wire.send({ method: "PUT", path, headers: { "content-type": types.manifest }, body });
    }
    const seen: string[] = [];
    let path: string | undefined = "/v2/team/app/tags/list?n=1";
    while (path !== undefined) {
      const page: Reply = await wire.send({ method: "GET", path });
      seen.push(...(JSON.parse(page.body.toString()) as { readonly tags: readonly string[] }).tags);
      const link: string | undefined = /^<([^>]+)>; *rel="next"$/.exec(page.headers.get("link") ?? "")?.[1];
      const next: URL | undefined = link === undefined ? undefined : new URL(link, wire.server.url);
      if (next !== undefined) expect(next.origin).toBe(wire.server.url.replace(/\/$/, ""));
      path = next?.href;
    }
    expect(seen).toEqual(["a", "b", "c", "latest"]);
  });
});

describe("kaniko 1.24", () => {
  let wire: Wire;

  beforeAll(async () => {
    wire = await openWire({ userAgent: "kaniko/v1.24.0", getToken: tokenWithChallenge });
    await seedBlob(wire, "team/app", emptyJson);
  });

  afterAll(async () => {
    await wire?.[Symbol.asyncDispose]();
  });

  test("finds out by a POST whether it may push, and never comes back to that upload", async () => {
    for (let round = 0; round < 20; round += 1) {
      const headers = { "content-type": "application/json" };
      const opened = await wire.send({ method: "POST", path: "/v2/team/kaniko/blobs/uploads/", headers });
      expect(opened.status).toBe(202);
    }
    // Uploads that are left behind are no repository.
    const tags = await wire.send({ method: "GET", path: "/v2/team/kaniko/tags/list" });
    expect([200, 404]).toContain(tags.status);
    await seedBlob(wire, "team/kaniko", bytesOf(4, 10));
  });
});

describe("cosign 2.6", () => {
  let wire: Wire;

  beforeAll(async () => {
    wire = await openWire({ userAgent: "cosign/v2.6.1 (linux; amd64)", getToken: tokenWithChallenge });
    await seedBlob(wire, "team/app", emptyJson);
  });

  afterAll(async () => {
    await wire?.[Symbol.asyncDispose]();
  });

  test("adds to the signature tag by reading and writing it, and finds it again", async () => {
    const image = sha256("the signed image");
    const tag = `${image.replace(":", "-")}.sig`;
    const path = `/v2/team/app/manifests/${tag}`;
    const payload = Buffer.from(JSON.stringify({ critical: { image: { "docker-manifest-digest": image } } }));
    const first = await wire.send({
      method: "GET",
      path,
      headers: { accept: `${types.manifest},${types.dockerManifest}` },
    });
    expect(first.status).toBe(404);
    expect(errorCodeOf(first)).toBe("MANIFEST_UNKNOWN");
    await seedBlob(wire, "team/app", payload);
    const signature = (value: string) => ({
      ...partOf("application/vnd.dev.cosign.simplesigning.v1+json", payload),
      annotations: { "dev.cosignproject.cosign/signature": value },
    });
    for (const signatures of [["one"], ["one", "two"]]) {
      const body = manifestOf(partOf(types.config, emptyJson), signatures.map(signature));
      const put = await wire.send({ method: "PUT", path, headers: { "content-type": types.manifest }, body });
      expect(put.status).toBe(201);
      const read = await wire.send({ method: "GET", path, headers: { accept: types.manifest } });
      expect(read.body.equals(body)).toBe(true);
    }
    for (const suffix of ["att", "sbom"]) {
      const body = manifestOf(partOf(types.config, emptyJson), []);
      const target = `/v2/team/app/manifests/${image.replace(":", "-")}.${suffix}`;
      const put = await wire.send({ method: "PUT", path: target, headers: { "content-type": types.manifest }, body });
      expect(put.status).toBe(201);
    }
  });

  test("attaches a bundle as a referrer with types of its own", async () => {
    const subject = partOf(types.manifest, bytesOf(5, 50));
    const bundle = Buffer.from(JSON.stringify({ mediaType: "application/vnd.dev.sigstore.bundle.v0.3+json" }));
    await seedBlob(wire, "team/app", bundle);
    const artifactType = "application/vnd.dev.sigstore.bundle.v0.3+json";
    const body = manifestOf(partOf(types.empty, emptyJson), [partOf(artifactType, bundle)], {
      artifactType,
      subject,
      annotations: { "dev.sigstore.bundle.content": "dsse-envelope" },
    });
    const target = `/v2/team/app/manifests/${sha256(body)}`;
    const put = await wire.send({ method: "PUT", path: target, headers: { "content-type": types.manifest }, body });
    expect(put.status).toBe(201);
    const reply = await wire.send({ method: "GET", path: `/v2/team/app/referrers/${subject.digest}` });
    const { manifests } = JSON.parse(reply.body.toString()) as { readonly manifests: readonly object[] };
    expect(manifests).toEqual([
      {
        mediaType: types.manifest,
        digest: sha256(body),
        size: body.length,
        artifactType,
        annotations: { "dev.sigstore.bundle.content": "dsse-envelope" },
      },
    ]);
  });
});
