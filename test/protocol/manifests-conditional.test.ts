import { describe, expect, test } from "bun:test";
import { absentDigest, digestOf, indexBytes, mediaTypes, pushIndex, randomText } from "./content.ts";
import { type Answer, freshRepository, useRegistry } from "./registry-client.ts";
import { describeEachDatabase } from "../support/databases.ts";

const uniqueIndex = (): Buffer => indexBytes([], { annotations: { id: randomText() } });

describeEachDatabase("conditional requests on manifests", (dialect) => {
  const registry = useRegistry({ dialect });

  interface ConditionalPut {
    readonly headers: Readonly<Record<string, string>>;
    readonly body?: Uint8Array;
  }

  const put = (repository: string, reference: string, call: ConditionalPut): Promise<Answer> =>
    registry.send("PUT", `/v2/${repository}/manifests/${reference}`, {
      headers: { "Content-Type": mediaTypes.index, ...call.headers },
      body: call.body ?? uniqueIndex(),
    });

  const digestAt = async (repository: string, tag: string): Promise<string | undefined> =>
    (await registry.send("HEAD", `/v2/${repository}/manifests/${tag}`)).header("docker-content-digest");

  describe("GET and HEAD with If-None-Match", () => {
    test("of the current digest, quoted or bare, are 304 without a body, by tag and by digest", async () => {
      const repository = freshRepository();
      const { digest } = await pushIndex(registry, repository, { tag: "v1" });
      for (const value of [`"${digest}"`, digest, `W/"${digest}"`, `"x", "${digest}"`]) {
        for (const reference of ["v1", digest]) {
          for (const method of ["GET", "HEAD"]) {
            const headers = { "If-None-Match": value };
            const answer = await registry.send(method, `/v2/${repository}/manifests/${reference}`, { headers });
            expect([value, answer.status, answer.bytes.length]).toEqual([value, 304, 0]);
            expect(answer.header("docker-content-digest")).toBe(digest);
            expect(answer.header("etag")).toBe(`"${digest}"`);
          }
        }
      }
    });

    test("of an older digest are 200 with the new one", async () => {
      const repository = freshRepository();
      const old = await pushIndex(registry, repository, { tag: "v1" });
      const young = await pushIndex(registry, repository, { tag: "v1" });
      const headers = { "If-None-Match": `"${old.digest}"` };
      const answer = await registry.send("GET", `/v2/${repository}/manifests/v1`, { headers });
      expect([answer.status, answer.header("docker-content-digest")]).toEqual([200, young.digest]);
    });

    test("of a missing manifest are 404", async () => {
      const headers = { "If-None-Match": "*" };
      const answer = await registry.send("GET", `/v2/${freshRepository()}/manifests/v1`, { headers });
      expect(answer.status).toBe(404);
    });
  });

  describe("PUT with If-Match", () => {
    test("that is stale is 412, and the tag stays", async () => {
      const repository = freshRepository();
      const old = await pushIndex(registry, repository, { tag: "v1" });
      const young = await pushIndex(registry, repository, { tag: "v1" });
      for (const value of [`"${old.digest}"`, `"${absentDigest()}"`]) {
        expect((await put(repository, "v1", { headers: { "If-Match": value } })).status).toBe(412);
        expect(await digestAt(repository, "v1")).toBe(young.digest);
      }
    });

    test("of the current digest is 201 and moves the tag", async () => {
      const repository = freshRepository();
      for (const quote of ['"', ""]) {
        const { digest } = await pushIndex(registry, repository, { tag: "v1" });
        const body = uniqueIndex();
        const headers = { "If-Match": `${quote}${digest}${quote}` };
        expect((await put(repository, "v1", { headers, body })).status).toBe(201);
        expect(await digestAt(repository, "v1")).toBe(digestOf(body));
      }
    });

    test("of anything is 412 where no tag is, and none is made", async () => {
      const repository = freshRepository();
      await pushIndex(registry, repository, { tag: "other" });
      for (const value of ["*", `"${absentDigest()}"`]) {
        expect((await put(repository, "v1", { headers: { "If-Match": value } })).status).toBe(412);
        expect(await digestAt(repository, "v1")).toBeUndefined();
      }
    });

    test("lets exactly one of several writers win", async () => {
      const repository = freshRepository();
      const { digest } = await pushIndex(registry, repository, { tag: "v1" });
      const headers = { "If-Match": `"${digest}"` };
      const bodies = Array.from({ length: 8 }, uniqueIndex);
      const answers = await Promise.all(bodies.map((body) => put(repository, "v1", { headers, body })));
      const statuses = answers.map((answer) => answer.status);
      expect(statuses.filter((status) => status === 201)).toHaveLength(1);
      expect(statuses.filter((status) => status === 412)).toHaveLength(7);
      expect(await digestAt(repository, "v1")).toBe(digestOf(bodies[statuses.indexOf(201)] ?? ""));
    });
  });

  describe("PUT with If-None-Match: *", () => {
    test("on an existing tag is 412, and the tag stays", async () => {
      const repository = freshRepository();
      const { digest } = await pushIndex(registry, repository, { tag: "v1" });
      const answer = await put(repository, "v1", { headers: { "If-None-Match": "*" } });
      expect(answer.status).toBe(412);
      expect(await digestAt(repository, "v1")).toBe(digest);
    });

    test("on a new tag is 201, also in a new repository", async () => {
      const repository = freshRepository();
      for (const tag of ["v1", "v2"]) {
        expect((await put(repository, tag, { headers: { "If-None-Match": "*" } })).status).toBe(201);
      }
    });

    test("lets exactly one of several writers win", async () => {
      const repository = freshRepository();
      const headers = { "If-None-Match": "*" };
      const answers = await Promise.all(Array.from({ length: 8 }, () => put(repository, "v1", { headers })));
      const statuses = answers.map((answer) => String(answer.status)).toSorted();
      expect(statuses).toEqual(["201", ...Array.from({ length: 7 }, () => "412")]);
    });
  });
});
