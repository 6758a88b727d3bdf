import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { bytesOf, emptyJson, manifestOf, type Part, partOf, sha256, types } from "./content.ts";
import { errorCodeOf, finishAt, type GetToken, needed, openWire, type Reply, seedBlob } from "./wire.ts";
import { tokenByGet, tokenOf, type Wire } from "./wire.ts";

setDefaultTimeout(60_000);

const octets = { "content-type": "application/octet-stream" };
const accept = [
  types.dockerManifest,
  types.dockerList,
  types.manifest,
  types.index,
  "application/vnd.oci.artifact.manifest.v1+json",
].join(", ");
const zeroDigest = `sha256:${"0".repeat(64)}`;

/** The first page of referrers and every page that Link leads to. */
async function pagesOf(wire: Wire, first: string): Promise<readonly Reply[]> {
  const pages: Reply[] = [];
  let path: string | undefined = first;
  while (path !== undefined) {
    const page: Reply = await wire.send({ method: "GET", path });
    expect(page.status).toBe(200);
    expect(needed(page, "content-type")).toBe(types.index);
    pages.push(page);
    const link = page.headers.get("link");
    const target: string | undefined = link === null ? undefined : /^<([^>]+)>;\s*rel="?next"?/.exec(link)?.[1];
    if (link !== null) expect(target).toBeString();
    path = target === undefined ? undefined : new URL(target, new URL(path, wire.server.url)).href;
  }
  return pages;
}

const listedBy = (pages: readonly Reply[]) =>
  pages.flatMap(
    (page) =>
      (
        JSON.parse(page.body.toString()) as {
          readonly manifests: readonly { readonly digest: string; readonly annotations?: object }[];
        }
      ).manifests,
  );

async function pushBlob(wire: Wire, repository: string, bytes: Uint8Array): Promise<Part> {
  const digest = sha256(bytes);
  const head = await wire.send({ method: "HEAD", path: `/v2/${repository}/blobs/${digest}` });
  if (head.status === 200) return partOf(types.layer, bytes);
  // The repository need not exist yet, and the token was for pulling: it still is a 404.
  expect(head.status).toBe(404);
  const opened = await wire.send({ method: "POST", path: `/v2/${repository}/blobs/uploads/` });
  expect(opened.status).toBe(202);
  const put = await wire.send({ method: "PUT", path: finishAt(opened, wire, digest), headers: octets, body: bytes });
  expect(put.status).toBe(201);
  return partOf(types.layer, bytes);
}

describe("oras 1.2 and oras-go 2", () => {
  let wire: Wire;
  let subject: Part;

  beforeAll(async () => {
    wire = await openWire({ userAgent: "oras/1.2.3", getToken: tokenByGet() });
  });

  afterAll(async () => {
    await wire?.[Symbol.asyncDispose]();
  });

  async function putManifest(path: string, body: Buffer): Promise<Reply> {
    const put = await wire.send({ method: "PUT", path, headers: { "content-type": types.manifest }, body });
    expect(put.status).toBe(201);
    expect(needed(put, "docker-content-digest")).toBe(sha256(body));
    return put;
  }

  test("pushes an artifact into a repository that does not exist", async () => {
    const layer = await pushBlob(wire, "team/artifact", Buffer.from("hello\n"));
    await pushBlob(wire, "team/artifact", emptyJson);
    const body = manifestOf(partOf(types.empty, emptyJson), [{ ...layer, mediaType: "text/plain" }], {
      artifactType: "application/vnd.test",
    });
    subject = partOf(types.manifest, body);
    const path = `/v2/team/artifact/manifests/${subject.digest}`;
    const missing = await wire.send({ method: "HEAD", path, headers: { accept } });
    expect(missing.status).toBe(404);
    await putManifest("/v2/team/artifact/manifests/1", body);
    const resolved = await wire.send({ method: "HEAD", path: "/v2/team/artifact/manifests/1", headers: { accept } });
    expect(resolved.status).toBe(200);
    expect(needed(resolved, "docker-content-digest")).toBe(subject.digest);
    expect(needed(resolved, "content-length")).toBe(String(body.length));
    expect(needed(resolved, "content-type")).toBe(types.manifest);
  });

  test("puts by digest, reads that back, and puts by tag, each at once", async () => {
    for (let round = 0; round < 20; round += 1) {
      const annotations = { round: String(round) };
      const body = manifestOf(partOf(types.empty, emptyJson), [], {
        artifactType: "application/vnd.test",
        annotations,
      });
      const path = `/v2/team/artifact/manifests/${sha256(body)}`;
      await putManifest(path, body);
      const read = await wire.send({ method: "GET", path, headers: { accept: types.manifest } });
      expect(read.status).toBe(200);
      expect(read.body.equals(body)).toBe(true);
      await putManifest("/v2/team/artifact/manifests/moving", body);
      const moved = await wire.send({
        method: "HEAD",
        path: "/v2/team/artifact/manifests/moving",
        headers: { accept },
      });
      expect(needed(moved, "docker-content-digest")).toBe(sha256(body));
    }
  });

  test("pings the referrers of the all-zero digest", async () => {
    const ping = await wire.send({ method: "GET", path: `/v2/team/artifact/referrers/${zeroDigest}` });
    expect(ping.status).toBe(200);
    expect(needed(ping, "content-type")).toBe(types.index);
    expect(listedBy([ping])).toEqual([]);
    // NAME_UNKNOWN here would be an error to it, and any other 404 the fallback tag for the whole session.
    const nowhere = await wire.send({ method: "GET", path: `/v2/team/nowhere/referrers/${zeroDigest}` });
    expect(nowhere.status).toBe(200);
    expect(needed(nowhere, "content-type")).toBe(types.index);
  });

  test("attaches, sees by OCI-Subject that it is done, and follows Link through a paged list", async () => {
    const attached: string[] = [];
    for (let round = 0; round < 7; round += 1) {
      const body = manifestOf(partOf(types.empty, emptyJson), [], {
        artifactType: round === 6 ? "application/vnd.test.other" : "application/vnd.test.sbom",
        subject,
        annotations: { "org.opencontainers.image.created": `2026-01-0${round + 1}T00:00:00Z` },
      });
      const put = await putManifest(`/v2/team/artifact/manifests/${sha256(body)}`, body);
      expect(needed(put, "oci-subject")).toBe(subject.digest);
      attached.push(sha256(body));
    }
    const path = `/v2/team/artifact/referrers/${subject.digest}`;
    for (const query of ["", "?n=2", "?n=3"]) {
      const listed = listedBy(await pagesOf(wire, `${path}${query}`));
      expect(listed.map((entry) => entry.digest).toSorted()).toEqual(attached.toSorted());
      expect(listed.every((entry) => Object.keys(entry.annotations ?? {}).length === 1)).toBe(true);
    }
    const pages = await pagesOf(wire, `${path}?artifactType=application%2Fvnd.test.other&n=2`);
    const filtered = pages[0]?.headers.get("oci-filters-applied") ?? "";
    expect(filtered.split(",")).toContain("artifactType");
    expect(listedBy(pages).map((entry) => entry.digest)).toEqual(attached.slice(6));
  });

  test("mounts by a query that it does not escape", async () => {
    const digest = sha256("hello\n");
    const path = `/v2/other/artifact/blobs/uploads/?mount=${digest}&from=team/artifact`;
    const scopes = ["repository:team/artifact:pull"];
    const mounted = await wire.send({ method: "POST", path, scopes });
    expect(mounted.status).toBe(201);
    const read = await wire.send({ method: "GET", path: `/v2/other/artifact/blobs/${digest}` });
    expect(read.body.toString()).toBe("hello\n");
    expect(needed(read, "accept-ranges")).toBe("bytes");
  });

  test("deletes a manifest by digest and no longer finds what pointed to it", async () => {
    const path = `/v2/team/artifact/manifests/${subject.digest}`;
    const scopes = ["repository:team/artifact:delete,pull"];
    expect((await wire.send({ method: "DELETE", path, scopes })).status).toBe(202);
    const gone = await wire.send({ method: "GET", path: "/v2/team/artifact/manifests/1", headers: { accept } });
    expect(gone.status).toBe(404);
    expect(errorCodeOf(gone)).toBe("MANIFEST_UNKNOWN");
    const referrers = await wire.send({ method: "GET", path: `/v2/team/artifact/referrers/${subject.digest}` });
    expect(referrers.status).toBe(200);
    expect(listedBy([referrers])).toHaveLength(7);
  });
});

/** Helm asks by POST, with a client identifier of its own, and repeats nothing. */
const helmToken: GetToken = async (wire, challenge, scopes) => {
  const { username, password } = wire.server.admin;
  const form = { grant_type: "password", service: challenge.service, client_id: "oras-go", username, password };
  const body = new URLSearchParams({ ...form, scope: scopes.join(" ") }).toString();
  const headers = { "content-type": "application/x-www-form-urlencoded" };
  return tokenOf(await wire.sendOnce({ method: "POST", path: challenge.realm, headers, body })).token;
};

describe("helm 3.18", () => {
  let wire: Wire;

  beforeAll(async () => {
    wire = await openWire({ userAgent: "Helm/3.18.6", getToken: helmToken });
  });

  afterAll(async () => {
    await wire?.[Symbol.asyncDispose]();
  });

  test("pushes a chart: no mediaType in the manifest, an underscore for the plus in its version", async () => {
    const config = Buffer.from(JSON.stringify({ name: "chart", version: "1.2.3+build.4", apiVersion: "v2" }));
    const chart = bytesOf(7, 4000);
    await pushBlob(wire, "team/charts/chart", config);
    await pushBlob(wire, "team/charts/chart", chart);
    const body = Buffer.from(
      JSON.stringify({
        schemaVersion: 2,
        config: partOf("application/vnd.cncf.helm.config.v1+json", config),
        layers: [partOf("application/vnd.cncf.helm.chart.content.v1.tar+gzip", chart)],
        annotations: { "org.opencontainers.image.version": "1.2.3+build.4" },
      }),
    );
    const headers = { "content-type": types.manifest };
    const tag = "1.2.3_build.4";
    for (const reference of [sha256(body), tag]) {
      const path = `/v2/team/charts/chart/manifests/${reference}`;
      const put = await wire.send({ method: "PUT", path, headers, body });
      expect(put.status).toBe(201);
      expect(needed(put, "docker-content-digest")).toBe(sha256(body));
    }
    const tags = await wire.send({ method: "GET", path: "/v2/team/charts/chart/tags/list" });
    expect(JSON.parse(tags.body.toString())).toEqual({ name: "team/charts/chart", tags: [tag] });
    const pulled = await wire.send({
      method: "GET",
      path: `/v2/team/charts/chart/manifests/${tag}`,
      headers: { accept },
    });
    expect(needed(pulled, "content-type")).toBe(types.manifest);
    expect(pulled.body.equals(body)).toBe(true);
  });

  test("finds the tags of many charts and versions page by page", async () => {
    await seedBlob(wire, "team/charts/many", emptyJson);
    const body = manifestOf(partOf(types.empty, emptyJson), []);
    const headers = { "content-type": types.manifest };
    const tags = Array.from({ length: 25 }, (_, index) => `0.1.${index}`);
    for (const tag of tags) {
      const path = `/v2/team/charts/many/manifests/${tag}`;
      expect((await wire.send({ method: "PUT", path, headers, body })).status).toBe(201);
    }
    const seen: string[] = [];
    let path: string | undefined = "/v2/team/charts/many/tags/list?n=10";
    while (path !== undefined) {
      const page: Reply = await wire.send({ method: "GET", path });
      seen.push(...(JSON.parse(page.body.toString()) as { readonly tags: readonly string[] }).tags);
      const link: string | undefined = /^<([^>]+)>/.exec(page.headers.get("link") ?? "")?.[1];
      path = link === undefined ? undefined : new URL(link, wire.server.url).href;
    }
    expect(seen).toEqual(tags.toSorted());
  });
});
