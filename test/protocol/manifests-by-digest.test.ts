import { describe, expect, test } from "bun:test";
import {
  absentDigest,
  digestOf,
  indexBytes,
  jsonBytes,
  mediaTypes,
  pushBlob,
  pushIndex,
  randomText,
} from "./content.ts";
import { type Answer, expectProblem, freshRepository, locationOf, useRegistry } from "./registry-client.ts";
import { describeEachDatabase } from "../support/databases.ts";

const uniqueIndex = (): Buffer => indexBytes([], { annotations: { id: randomText() } });

const tagQuery = (count: number): string => Array.from({ length: count }, (_, at) => `tag=t${String(at)}`).join("&");

describeEachDatabase("manifests by digest", (dialect) => {
  const registry = useRegistry({ dialect });

  const put = (repository: string, reference: string, body: Uint8Array): Promise<Answer> =>
    registry.send("PUT", `/v2/${repository}/manifests/${reference}`, {
      headers: { "Content-Type": mediaTypes.index },
      body,
    });

  const tagsOf = async (repository: string): Promise<readonly string[]> =>
    ((await registry.send("GET", `/v2/${repository}/tags/list`)).json() as { tags: readonly string[] }).tags;

  describe("manifests pushed by sha512 digest", () => {
    test("GET, HEAD and DELETE by it and by its tags report sha512", async () => {
      const repository = freshRepository();
      const bytes = uniqueIndex();
      const digest = digestOf(bytes, "sha512");
      const pushed = await put(repository, `${digest}?tag=v1&tag=v2`, bytes);
      expect([pushed.status, pushed.header("docker-content-digest")]).toEqual([201, digest]);
      expect((await registry.send("GET", locationOf(pushed))).header("docker-content-digest")).toBe(digest);
      for (const reference of [digest, "v1", "v2"]) {
        for (const method of ["GET", "HEAD"]) {
          const answer = await registry.send(method, `/v2/${repository}/manifests/${reference}`);
          expect([answer.status, answer.header("docker-content-digest")]).toEqual([200, digest]);
          expect(answer.header("etag")).toBe(`"${digest}"`);
        }
      }
      expect((await registry.send("DELETE", `/v2/${repository}/manifests/${digest}`)).status).toBe(202);
      for (const reference of [digest, "v1", "v2"]) {
        expect((await registry.send("HEAD", `/v2/${repository}/manifests/${reference}`)).status).toBe(404);
      }
    });

    test("and by sha256 too are found by each, and deleting one leaves the other", async () => {
      const repository = freshRepository();
      const bytes = uniqueIndex();
      const [short, long] = [digestOf(bytes), digestOf(bytes, "sha512")];
      for (const digest of [short, long]) {
        expect((await put(repository, digest, bytes)).status).toBe(201);
      }
      for (const digest of [short, long]) {
        const answer = await registry.send("GET", `/v2/${repository}/manifests/${digest}`);
        expect([answer.status, answer.header("docker-content-digest")]).toEqual([200, digest]);
      }
      expect((await registry.send("DELETE", `/v2/${repository}/manifests/${short}`)).status).toBe(202);
      expect((await registry.send("HEAD", `/v2/${repository}/manifests/${short}`)).status).toBe(404);
      expect((await registry.send("HEAD", `/v2/${repository}/manifests/${long}`)).status).toBe(200);
    });

    test("may name blobs by sha512", async () => {
      const repository = freshRepository();
      const bytes = jsonBytes({ id: randomText() });
      const digest = digestOf(bytes, "sha512");
      await registry.send("POST", `/v2/${repository}/blobs/uploads/?digest=${digest}`, { body: bytes });
      const config = { mediaType: mediaTypes.config, digest, size: bytes.length };
      const body = jsonBytes({ schemaVersion: 2, mediaType: mediaTypes.image, config, layers: [] });
      const headers = { "Content-Type": mediaTypes.image };
      const target = `/v2/${repository}/manifests/${digestOf(body, "sha512")}`;
      expect((await registry.send("PUT", target, { headers, body })).status).toBe(201);
      // The same bytes by another digest are not what the manifest names.
      const elsewhere = freshRepository();
      await pushBlob(registry, elsewhere, bytes);
      const refused = await registry.send("PUT", `/v2/${elsewhere}/manifests/v1`, { headers, body });
      expectProblem(refused, 400, "MANIFEST_BLOB_UNKNOWN");
    });
  });

  describe("PUT <digest>?tag=a&tag=b", () => {
    test("is 201 with OCI-Tag naming every accepted tag, and sets them all", async () => {
      const repository = freshRepository();
      const bytes = uniqueIndex();
      const tags = ["a", "b", "c.d-e_F"];
      const query = tags.map((tag) => `tag=${tag}`).join("&");
      const answer = await put(repository, `${digestOf(bytes)}?${query}`, bytes);
      expect(answer.status).toBe(201);
      expect((answer.header("oci-tag") ?? "").split(/, */).toSorted()).toEqual(["a", "b", "c.d-e_F"]);
      expect(await tagsOf(repository)).toEqual(["a", "b", "c.d-e_F"]);
      for (const tag of tags) {
        const pulled = await registry.send("GET", `/v2/${repository}/manifests/${tag}`);
        expect(pulled.header("docker-content-digest")).toBe(digestOf(bytes));
      }
    });

    test("moves tags that are there", async () => {
      const repository = freshRepository();
      await pushIndex(registry, repository, { tag: "a" });
      const bytes = uniqueIndex();
      expect((await put(repository, `${digestOf(bytes)}?tag=a&tag=b`, bytes)).status).toBe(201);
      const pulled = await registry.send("GET", `/v2/${repository}/manifests/a`);
      expect(pulled.header("docker-content-digest")).toBe(digestOf(bytes));
    });

    test("of 50 tags is accepted, of 51 is 414 and sets none", async () => {
      const repository = freshRepository();
      const bytes = uniqueIndex();
      const tooMany = await put(repository, `${digestOf(bytes)}?${tagQuery(51)}`, bytes);
      expect(tooMany.status).toBe(414);
      expect((await registry.send("GET", `/v2/${repository}/tags/list`)).status).toBe(404);
      expect((await put(repository, `${digestOf(bytes)}?${tagQuery(50)}`, bytes)).status).toBe(201);
      expect(await tagsOf(repository)).toHaveLength(50);
    });

    test("with one invalid tag is 400 and sets none", async () => {
      const repository = freshRepository();
      const bytes = uniqueIndex();
      await pushIndex(registry, repository, { tag: "old" });
      for (const bad of [".a", "", "a%20b", "x".repeat(129), "a/b"]) {
        const answer = await put(repository, `${digestOf(bytes)}?tag=good&tag=${bad}`, bytes);
        expectProblem(answer, 400, "MANIFEST_INVALID", "TAG_INVALID");
        expect(await tagsOf(repository)).toEqual(["old"]);
      }
    });

    test("with a wrong digest is 400 and sets none", async () => {
      const repository = freshRepository();
      await pushIndex(registry, repository, { tag: "old" });
      const answer = await put(repository, `${absentDigest()}?tag=a`, uniqueIndex());
      expectProblem(answer, 400, "DIGEST_INVALID");
      expect(await tagsOf(repository)).toEqual(["old"]);
    });

    test("works only with a digest: on a tag it sets no other tag and claims none", async () => {
      const repository = freshRepository();
      const answer = await put(repository, "v1?tag=v2", uniqueIndex());
      expect([201, 400]).toContain(answer.status);
      expect(answer.header("oci-tag")).toBeUndefined();
      expect((await registry.send("HEAD", `/v2/${repository}/manifests/v2`)).status).toBe(404);
    });

    test("without tag sends no OCI-Tag", async () => {
      const bytes = uniqueIndex();
      const answer = await put(freshRepository(), digestOf(bytes), bytes);
      expect([answer.status, answer.header("oci-tag")]).toEqual([201, undefined]);
    });
  });
});
