import { describe, expect, test } from "bun:test";
import { randomBytes } from "node:crypto";
import {
  absentDigest,
  digestOf,
  jsonBytes,
  mediaTypes,
  pushBlob,
  pushImage,
  pushIndex,
  pushManifest,
  randomText,
  startUpload,
} from "./content.ts";
import {
  expectProblem,
  freshRepository,
  locationOf,
  type Registry,
  useRegistry,
  withQuery,
} from "./registry-client.ts";
import { describeEachDatabase } from "../support/databases.ts";

describeEachDatabase("delete", (dialect) => {
  const registry = useRegistry({ dialect });

  const statusOf = async (method: string, target: string, from: Registry = registry): Promise<number> =>
    (await from.send(method, target)).status;

  const tagsOf = async (repository: string): Promise<readonly string[]> =>
    ((await registry.send("GET", `/v2/${repository}/tags/list`)).json() as { tags: readonly string[] }).tags;

  describe("DELETE of a tag", () => {
    test("is 202; that tag is 404 at once; other tags and the digest are still 200", async () => {
      const repository = freshRepository();
      const image = await pushImage(registry, repository, { tag: "gone" });
      await pushManifest(registry, { repository, ...image, tag: "stays" });
      const path = `/v2/${repository}/manifests`;
      expect(await statusOf("DELETE", `${path}/gone`)).toBe(202);
      expect(await statusOf("GET", `${path}/gone`)).toBe(404);
      expect(await statusOf("HEAD", `${path}/gone`)).toBe(404);
      expect(await statusOf("GET", `${path}/stays`)).toBe(200);
      expect(await statusOf("GET", `${path}/${image.digest}`)).toBe(200);
      expect(await tagsOf(repository)).toEqual(["stays"]);
    });

    test("that is the last one leaves the digest", async () => {
      const repository = freshRepository();
      const image = await pushImage(registry, repository, { tag: "only" });
      expect(await statusOf("DELETE", `/v2/${repository}/manifests/only`)).toBe(202);
      expect(await statusOf("GET", `/v2/${repository}/manifests/${image.digest}`)).toBe(200);
    });

    test("then the digest lowers the number of tags by no more than those that were left", async () => {
      const repository = freshRepository();
      const image = await pushImage(registry, repository, { tag: "a" });
      await pushManifest(registry, { repository, ...image, tag: "b" });
      await pushImage(registry, repository, { tag: "other" });
      await registry.send("DELETE", `/v2/${repository}/manifests/a`);
      expect(await tagsOf(repository)).toEqual(["b", "other"]);
      await registry.send("DELETE", `/v2/${repository}/manifests/${image.digest}`);
      expect(await tagsOf(repository)).toEqual(["other"]);
    });
  });

  describe("DELETE of a digest", () => {
    test("is 202; the digest and every tag to it are 404 at once and gone from tags/list", async () => {
      const repository = freshRepository();
      const image = await pushImage(registry, repository, { tag: "a" });
      await pushManifest(registry, { repository, ...image, tag: "b" });
      const other = await pushImage(registry, repository, { tag: "other" });
      const path = `/v2/${repository}/manifests`;
      expect(await statusOf("DELETE", `${path}/${image.digest}`)).toBe(202);
      for (const reference of [image.digest, "a", "b"]) {
        expect(await statusOf("HEAD", `${path}/${reference}`)).toBe(404);
        expectProblem(await registry.send("GET", `${path}/${reference}`), 404, "MANIFEST_UNKNOWN");
      }
      expect(await tagsOf(repository)).toEqual(["other"]);
      expect(await statusOf("GET", `${path}/${other.digest}`)).toBe(200);
    });

    test("in one repository leaves the same manifest in another", async () => {
      const [here, there] = [freshRepository(), freshRepository()];
      const { digest } = await pushIndex(registry, here, { fields: {} });
      await pushIndex(registry, there, { fields: {}, tag: "v1" });
      expect(await statusOf("DELETE", `/v2/${here}/manifests/${digest}`)).toBe(202);
      expect(await statusOf("GET", `/v2/${there}/manifests/${digest}`)).toBe(200);
      expect(await statusOf("GET", `/v2/${there}/manifests/v1`)).toBe(200);
    });

    test("by several clients at once is 202 or 404 each, never 500", async () => {
      const repository = freshRepository();
      const image = await pushImage(registry, repository, { tag: "a" });
      const targets = [image.digest, image.digest, image.digest, "a", "a"];
      const statuses = await Promise.all(
        targets.map((reference) => statusOf("DELETE", `/v2/${repository}/manifests/${reference}`)),
      );
      for (const status of statuses) expect([202, 404]).toContain(status);
      expect(statuses).toContain(202);
    });
  });

  describe("DELETE of a blob", () => {
    test("is 202, and the blob is 404 at once", async () => {
      const repository = freshRepository();
      const digest = await pushBlob(registry, repository, randomBytes(10));
      const path = `/v2/${repository}/blobs/${digest}`;
      expect(await statusOf("DELETE", path)).toBe(202);
      expect(await statusOf("HEAD", path)).toBe(404);
      expectProblem(await registry.send("GET", path), 404, "BLOB_UNKNOWN");
      expectProblem(await registry.send("DELETE", path), 404, "BLOB_UNKNOWN");
    });

    test("that an image still needs is 202 as documented; pushing the blob again makes the image whole", async () => {
      const repository = freshRepository();
      const bytes = randomBytes(100);
      const digest = await pushBlob(registry, repository, bytes);
      const layers = [{ mediaType: mediaTypes.layer, digest, size: bytes.length }];
      await pushImage(registry, repository, { tag: "v1", layers });
      expect(await statusOf("DELETE", `/v2/${repository}/blobs/${digest}`)).toBe(202);
      expect(await statusOf("GET", `/v2/${repository}/blobs/${digest}`)).toBe(404);
      expect(await statusOf("GET", `/v2/${repository}/manifests/v1`)).toBe(200);
      await pushBlob(registry, repository, bytes);
      const pulled = await registry.send("GET", `/v2/${repository}/blobs/${digest}`);
      expect(pulled.bytes.equals(bytes)).toBe(true);
    });

    test("leaves the layer in every other repository that has it", async () => {
      const bytes = randomBytes(100);
      const repositories = [freshRepository(), freshRepository()];
      for (const repository of repositories) await pushBlob(registry, repository, bytes);
      const [first = "", second = ""] = repositories;
      expect(await statusOf("DELETE", `/v2/${first}/blobs/${digestOf(bytes)}`)).toBe(202);
      expect(await statusOf("GET", `/v2/${first}/blobs/${digestOf(bytes)}`)).toBe(404);
      expect(await statusOf("GET", `/v2/${second}/blobs/${digestOf(bytes)}`)).toBe(200);
    });
  });

  test("DELETE of a missing tag, digest or blob is 404", async () => {
    for (const repository of [freshRepository(), freshRepository()]) {
      expect(await statusOf("DELETE", `/v2/${repository}/manifests/nothing`)).toBe(404);
      expect(await statusOf("DELETE", `/v2/${repository}/manifests/${absentDigest()}`)).toBe(404);
      expect(await statusOf("DELETE", `/v2/${repository}/blobs/${absentDigest()}`)).toBe(404);
      // The second round finds a repository that exists.
      await pushIndex(registry, repository, { tag: "v1" });
      expect(await statusOf("DELETE", `/v2/${repository}/manifests/nothing`)).toBe(404);
      expect(await statusOf("DELETE", `/v2/${repository}/manifests/${absentDigest()}`)).toBe(404);
      expect(await statusOf("DELETE", `/v2/${repository}/blobs/${absentDigest()}`)).toBe(404);
    }
  });

  test("DELETE of a child manifest that an index names is 202 as documented; the index stays, layers shared stay", async () => {
    const repository = freshRepository();
    const child = await pushImage(registry, repository);
    const sibling = await pushImage(registry, repository, { layers: child.layers });
    const index = await pushIndex(registry, repository, {
      tag: "multi",
      manifests: [child.descriptor, sibling.descriptor],
    });
    expect(await statusOf("DELETE", `/v2/${repository}/manifests/${child.digest}`)).toBe(202);
    expect(await statusOf("GET", `/v2/${repository}/manifests/${child.digest}`)).toBe(404);
    expect(await statusOf("GET", `/v2/${repository}/manifests/${index.digest}`)).toBe(200);
    expect(await statusOf("GET", `/v2/${repository}/manifests/${sibling.digest}`)).toBe(200);
    for (const { digest } of [...sibling.layers, sibling.config]) {
      expect(await statusOf("GET", `/v2/${repository}/blobs/${digest}`)).toBe(200);
    }
  });

  test("delete then re-push the same image: every blob is really present and pullable", async () => {
    const repository = freshRepository();
    const [configBytes, layerBytes] = [jsonBytes({ id: randomText() }), randomBytes(5000)];
    const config = { mediaType: mediaTypes.config, digest: digestOf(configBytes), size: configBytes.length };
    const layer = { mediaType: mediaTypes.layer, digest: digestOf(layerBytes), size: layerBytes.length };
    const bytes = jsonBytes({ schemaVersion: 2, mediaType: mediaTypes.image, config, layers: [layer] });
    for (let round = 0; round < 4; round += 1) {
      // As clients do: what HEAD finds is not pushed.
      for (const blob of [configBytes, layerBytes]) {
        if ((await statusOf("HEAD", `/v2/${repository}/blobs/${digestOf(blob)}`)) === 404) {
          await pushBlob(registry, repository, blob);
        }
      }
      await pushManifest(registry, { repository, bytes, mediaType: mediaTypes.image, tag: "v1" });
      for (const blob of [configBytes, layerBytes]) {
        const pulled = await registry.send("GET", `/v2/${repository}/blobs/${digestOf(blob)}`);
        expect([pulled.status, digestOf(pulled.bytes)]).toEqual([200, digestOf(blob)]);
      }
      expect((await registry.send("GET", `/v2/${repository}/manifests/v1`)).bytes.equals(bytes)).toBe(true);
      expect(await statusOf("DELETE", `/v2/${repository}/manifests/${digestOf(bytes)}`)).toBe(202);
      // Every other round the blobs go too.
      if (round % 2 === 0) continue;
      for (const blob of [configBytes, layerBytes]) {
        expect(await statusOf("DELETE", `/v2/${repository}/blobs/${digestOf(blob)}`)).toBe(202);
      }
    }
  });

  test("delete in both orders, manifest first and blobs first, removes the image", async () => {
    for (const manifestFirst of [true, false]) {
      const repository = freshRepository();
      const image = await pushImage(registry, repository, { tag: "v1" });
      const manifest = `/v2/${repository}/manifests/${image.digest}`;
      const blobs = [image.config, ...image.layers].map(({ digest }) => `/v2/${repository}/blobs/${digest}`);
      const order = manifestFirst ? [manifest, ...blobs] : [...blobs, manifest];
      for (const target of order) {
        expect(await statusOf("DELETE", target)).toBe(202);
        expect(await statusOf("HEAD", target)).toBe(404);
      }
    }
  });

  describe("deletes disabled", () => {
    const keeping = useRegistry({ dialect, env: { BERTH_DELETE_ENABLED: "false" } });

    test("is 405 UNSUPPORTED for tag, digest and blob, with an Allow that leaves DELETE out, and nothing changes", async () => {
      const repository = freshRepository();
      const image = await pushImage(keeping, repository, { tag: "v1" });
      const targets = [
        `/v2/${repository}/manifests/v1`,
        `/v2/${repository}/manifests/${image.digest}`,
        `/v2/${repository}/blobs/${image.config.digest}`,
      ];
      for (const target of targets) {
        const answer = await keeping.send("DELETE", target);
        expectProblem(answer, 405, "UNSUPPORTED");
        const allow = (answer.header("allow") ?? "").split(/, */);
        expect(allow).toContain("GET");
        expect(allow).not.toContain("DELETE");
        expect(await statusOf("GET", target, keeping)).toBe(200);
      }
    });

    test("leaves the cancelling of an upload allowed", async () => {
      const location = await startUpload(keeping, freshRepository());
      expect(await statusOf("DELETE", location, keeping)).toBe(204);
    });
  });

  test("a deleted blob is 404 in its repository even when another one is asked for it meanwhile", async () => {
    const [here, there] = [freshRepository(), freshRepository()];
    const digest = await pushBlob(registry, here, randomBytes(50));
    const mounted = await registry.send("POST", `/v2/${there}/blobs/uploads/?mount=${digest}&from=${here}`, {
      body: "",
    });
    expect(mounted.status).toBe(201);
    expect(await statusOf("DELETE", `/v2/${here}/blobs/${digest}`)).toBe(202);
    expect(await statusOf("GET", `/v2/${there}/blobs/${digest}`)).toBe(200);
    expect(await statusOf("GET", `/v2/${here}/blobs/${digest}`)).toBe(404);
  });

  test("an upload that began before a delete of the same content makes it present again", async () => {
    const repository = freshRepository();
    const bytes = randomBytes(5000);
    const digest = digestOf(bytes);
    const location = await startUpload(registry, repository);
    const patch = await registry.send("PATCH", location, { body: bytes });
    await pushBlob(registry, repository, bytes);
    expect(await statusOf("DELETE", `/v2/${repository}/blobs/${digest}`)).toBe(202);
    const put = await registry.send("PUT", withQuery(locationOf(patch), `digest=${digest}`), { body: "" });
    expect(put.status).toBe(201);
    const pulled = await registry.send("GET", `/v2/${repository}/blobs/${digest}`);
    expect(pulled.bytes.equals(bytes)).toBe(true);
  });
});
