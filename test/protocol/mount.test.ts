import { describe, expect, test } from "bun:test";
import { randomBytes } from "node:crypto";
import { absentDigest, digestOf, pushBlob } from "./content.ts";
import { type Answer, freshRepository, locationOf, useRegistry, withQuery } from "./registry-client.ts";
import { describeEachDatabase } from "../support/databases.ts";

describeEachDatabase("mount", (dialect) => {
  const registry = useRegistry({ dialect });

  const mount = (repository: string, query: string): Promise<Answer> =>
    registry.send("POST", `/v2/${repository}/blobs/uploads/?${query}`, { body: "" });

  const blobStatus = async (repository: string, digest: string): Promise<number> =>
    (await registry.send("GET", `/v2/${repository}/blobs/${digest}`)).status;

  async function expectMounted(answer: Answer, repository: string, digest: string): Promise<void> {
    expect(answer.status).toBe(201);
    expect(locationOf(answer)).toBe(`/v2/${repository}/blobs/${digest}`);
    expect(answer.header("docker-content-digest")).toBe(digest);
    expect(await blobStatus(repository, digest)).toBe(200);
  }

  async function expectUsableSession(answer: Answer, repository: string): Promise<void> {
    expect(answer.status).toBe(202);
    expect(locationOf(answer)).toStartWith(`/v2/${repository}/blobs/uploads/`);
    expect(answer.header("docker-upload-uuid")).toMatch(/^[\w-]{16,}$/);
    const bytes = randomBytes(30);
    const put = await registry.send("PUT", withQuery(locationOf(answer), `digest=${digestOf(bytes)}`), { body: bytes });
    expect(put.status).toBe(201);
  }

  describe("mount with from", () => {
    test("holding the blob is 201 with Location and digest, and the blob is pullable in the target", async () => {
      const [source, target] = [freshRepository(), freshRepository()];
      const bytes = randomBytes(1000);
      const digest = await pushBlob(registry, source, bytes);
      await expectMounted(await mount(target, `mount=${digest}&from=${source}`), target, digest);
      const pulled = await registry.send("GET", `/v2/${target}/blobs/${digest}`);
      expect(pulled.bytes.equals(bytes)).toBe(true);
    });

    test("percent-encoded, and in the other order, is the same", async () => {
      const [source, target] = [freshRepository(), freshRepository()];
      const digest = await pushBlob(registry, source, randomBytes(10));
      const query = `from=${encodeURIComponent(source)}&mount=${encodeURIComponent(digest)}`;
      await expectMounted(await mount(target, query), target, digest);
    });

    test("of a blob by sha512 keeps the algorithm", async () => {
      const [source, target] = [freshRepository(), freshRepository()];
      const bytes = randomBytes(10);
      const digest = digestOf(bytes, "sha512");
      await registry.send("POST", `/v2/${source}/blobs/uploads/?digest=${digest}`, { body: bytes });
      await expectMounted(await mount(target, `mount=${digest}&from=${source}`), target, digest);
      expect(await blobStatus(target, digestOf(bytes))).toBe(404);
    });

    test("of a blob that the target has already is 201", async () => {
      const [source, target] = [freshRepository(), freshRepository()];
      const bytes = randomBytes(10);
      const digest = await pushBlob(registry, source, bytes);
      await pushBlob(registry, target, bytes);
      await expectMounted(await mount(target, `mount=${digest}&from=${source}`), target, digest);
    });
  });

  describe("mount is 202 with a usable session", () => {
    test("when the blob is missing in the source", async () => {
      const [source, target] = [freshRepository(), freshRepository()];
      await pushBlob(registry, source, randomBytes(10));
      const digest = absentDigest();
      await expectUsableSession(await mount(target, `mount=${digest}&from=${source}`), target);
      expect(await blobStatus(target, digest)).toBe(404);
    });

    test("when the source repository is missing", async () => {
      const target = freshRepository();
      const query = `mount=${absentDigest()}&from=${freshRepository()}`;
      await expectUsableSession(await mount(target, query), target);
    });

    test("when from is the target itself and the blob is missing", async () => {
      const target = freshRepository();
      await expectUsableSession(await mount(target, `mount=${absentDigest()}&from=${target}`), target);
    });

    test("when from is malformed", async () => {
      const digest = absentDigest();
      for (const from of ["../../etc", "UPPER/case", "a//b", "%00", "", "a".repeat(300), "a b".replace(" ", "%20")]) {
        const target = freshRepository();
        await expectUsableSession(await mount(target, `mount=${digest}&from=${from}`), target);
      }
    });

    test("when the blob is unknown everywhere and from is absent", async () => {
      const target = freshRepository();
      await expectUsableSession(await mount(target, `mount=${absentDigest()}`), target);
    });

    test("when the blob exists elsewhere, but not in the named source", async () => {
      const [holder, source, target] = [freshRepository(), freshRepository(), freshRepository()];
      const digest = await pushBlob(registry, holder, randomBytes(10));
      await pushBlob(registry, source, randomBytes(10));
      await expectUsableSession(await mount(target, `mount=${digest}&from=${source}`), target);
      expect(await blobStatus(target, digest)).toBe(404);
    });
  });

  test("a malformed digest to mount is 202 or 400, and mounts nothing", async () => {
    for (const digest of ["sha256:xyz", `sha256:${"A".repeat(64)}`, "", "../../x", `md5:${"a".repeat(32)}`]) {
      const answer = await mount(freshRepository(), `mount=${digest}&from=${freshRepository()}`);
      expect([202, 400]).toContain(answer.status);
    }
  });

  test("mount without from is 201 when the caller can pull the blob in a repository of the same namespace", async () => {
    const namespace = freshRepository("team");
    const digest = await pushBlob(registry, `${namespace}/source`, randomBytes(10));
    const target = `${namespace}/target`;
    await expectMounted(await mount(target, `mount=${digest}`), target, digest);
  });

  test("deleting the blob in the source leaves the mounted copy, and the reverse", async () => {
    const bytes = randomBytes(10);
    const digest = digestOf(bytes);
    for (const [deleted, kept] of [
      ["source", "target"],
      ["target", "source"],
    ] as const) {
      const namespace = freshRepository("team");
      await pushBlob(registry, `${namespace}/source`, bytes);
      await expectMounted(
        await mount(`${namespace}/target`, `mount=${digest}&from=${namespace}/source`),
        `${namespace}/target`,
        digest,
      );
      expect((await registry.send("DELETE", `/v2/${namespace}/${deleted}/blobs/${digest}`)).status).toBe(202);
      expect(await blobStatus(`${namespace}/${deleted}`, digest)).toBe(404);
      const pulled = await registry.send("GET", `/v2/${namespace}/${kept}/blobs/${digest}`);
      expect(pulled.bytes.equals(bytes)).toBe(true);
    }
  });
});
