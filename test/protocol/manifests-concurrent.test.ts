import { expect, test } from "bun:test";
import { describeEachDatabase } from "../support/databases.ts";
import { type Descriptor, digestOf, indexBytes, mediaTypes, pushImage, pushIndex, randomText } from "./content.ts";
import { type Answer, freshRepository, useRegistry } from "./registry-client.ts";

const uniqueIndex = (manifests: readonly Descriptor[] = []): Buffer =>
  indexBytes(manifests, { annotations: { id: randomText() } });

const times = <T>(count: number, make: (at: number) => T): readonly T[] =>
  Array.from({ length: count }, (_, at) => make(at));

const statuses = async (answers: readonly Promise<Answer>[]): Promise<ReadonlySet<number>> =>
  new Set((await Promise.all(answers)).map((answer) => answer.status));

const tagQuery = (tags: readonly string[]): string => tags.map((tag) => `tag=${tag}`).join("&");

describeEachDatabase("concurrent manifests", (dialect) => {
  const registry = useRegistry({ dialect });

  const put = (repository: string, reference: string, body: Uint8Array): Promise<Answer> =>
    registry.send("PUT", `/v2/${repository}/manifests/${reference}`, {
      headers: { "Content-Type": mediaTypes.index },
      body,
    });

  const pull = (repository: string): Promise<Answer> => registry.send("GET", `/v2/${repository}/manifests/v1`);

  test("N clients push the same manifest to a new repository at once: all 201", async () => {
    const repository = freshRepository();
    const bytes = uniqueIndex();
    expect(await statuses(times(12, () => put(repository, "v1", bytes)))).toEqual(new Set([201]));
    const tags = await registry.send("GET", `/v2/${repository}/tags/list`);
    expect(tags.json()).toEqual({ name: repository, tags: ["v1"] });
  });

  test("N clients push the same manifest to repositories of their own at once: all 201, each has it", async () => {
    const bytes = uniqueIndex();
    const repositories = times(12, () => freshRepository());
    expect(await statuses(repositories.map((repository) => put(repository, "v1", bytes)))).toEqual(new Set([201]));
    const pulls = repositories.map((repository) =>
      registry.send("GET", `/v2/${repository}/manifests/${digestOf(bytes)}`),
    );
    expect(await statuses(pulls)).toEqual(new Set([200]));
  });

  test("many tags of one repository are pushed at once, in one request each or together", async () => {
    const repository = freshRepository();
    const [first, second] = [uniqueIndex(), uniqueIndex()];
    const tags = times(10, (at) => `t${String(at)}`);
    const pushes = [
      ...times(4, () => put(repository, `${digestOf(first)}?${tagQuery(tags)}`, first)),
      ...times(4, () => put(repository, `${digestOf(second)}?${tagQuery(tags.toReversed())}`, second)),
      ...tags.map((tag) => put(repository, tag, first)),
    ];
    expect(await statuses(pushes)).toEqual(new Set([201]));
    for (const tag of tags) {
      const pulled = await registry.send("GET", `/v2/${repository}/manifests/${tag}`);
      expect([digestOf(first), digestOf(second)]).toContain(pulled.header("docker-content-digest") ?? "none");
    }
  });

  test("pushing and deleting one manifest at once ends in one of the two, never in between, and never in 500", async () => {
    for (let round = 0; round < 5; round += 1) {
      const repository = freshRepository();
      const bytes = uniqueIndex();
      const digest = digestOf(bytes);
      await put(repository, "v1", bytes);
      const answers = await Promise.all([
        ...times(5, () => put(repository, "v1", bytes)),
        ...times(5, () => registry.send("DELETE", `/v2/${repository}/manifests/${digest}`)),
      ]);
      for (const { status } of answers) expect([201, 202, 404]).toContain(status);
      const byTag = await registry.send("GET", `/v2/${repository}/manifests/v1`);
      const byDigest = await registry.send("GET", `/v2/${repository}/manifests/${digest}`);
      expect([200, 404]).toContain(byTag.status);
      expect(byDigest.status).toBe(byTag.status);
      const tags = await registry.send("GET", `/v2/${repository}/tags/list`);
      expect(tags.json()).toEqual({ name: repository, tags: byTag.status === 200 ? ["v1"] : [] });
    }
  });

  test("a manifest in many repositories is deleted from some while others get it: each is as it was told", async () => {
    const bytes = uniqueIndex();
    const digest = digestOf(bytes);
    const [leaving, coming] = [times(6, () => freshRepository()), times(6, () => freshRepository())];
    for (const repository of leaving) await put(repository, "v1", bytes);
    await Promise.all([
      ...leaving.map((repository) => registry.send("DELETE", `/v2/${repository}/manifests/${digest}`)),
      ...coming.map((repository) => put(repository, "v1", bytes)),
    ]);
    expect(await statuses(leaving.map(pull))).toEqual(new Set([404]));
    expect(await statuses(coming.map(pull))).toEqual(new Set([200]));
  });

  test("blobs that were mounted elsewhere are there for manifests, while their source deletes them", async () => {
    const namespace = freshRepository("team");
    const image = await pushImage(registry, `${namespace}/source`, { tag: "v1" });
    const targets = times(8, (at) => `${namespace}/target${String(at)}`);
    const mounts = targets.flatMap((target) =>
      [image.config, ...image.layers].map(({ digest }) =>
        registry.send("POST", `/v2/${target}/blobs/uploads/?mount=${digest}&from=${namespace}/source`, { body: "" }),
      ),
    );
    expect(await statuses(mounts)).toEqual(new Set([201]));
    const headers = { "Content-Type": mediaTypes.image };
    const answers = await Promise.all(
      targets.flatMap((target) => [
        registry.send("PUT", `/v2/${target}/manifests/v1`, { headers, body: image.bytes }),
        registry.send("DELETE", `/v2/${namespace}/source/blobs/${image.config.digest}`),
      ]),
    );
    for (const { status } of answers) expect([201, 202, 404]).toContain(status);
    for (const target of targets) {
      const blob = await registry.send("GET", `/v2/${target}/blobs/${image.config.digest}`);
      expect([blob.status, digestOf(blob.bytes)]).toEqual([200, image.config.digest]);
    }
  });

  test("readers during a storm of writes see whole manifests of the digest they are told", async () => {
    const repository = freshRepository();
    await pushIndex(registry, repository, { tag: "latest" });
    const writes = times(20, () => put(repository, "latest", uniqueIndex()));
    const reads = await Promise.all(times(40, () => registry.send("GET", `/v2/${repository}/manifests/latest`)));
    expect(await statuses(writes)).toEqual(new Set([201]));
    for (const answer of reads) {
      expect([answer.status, digestOf(answer.bytes)]).toEqual([200, answer.header("docker-content-digest") ?? "none"]);
    }
  });
});
