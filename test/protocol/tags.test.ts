import { beforeAll, describe, expect, test } from "bun:test";
import { digestOf, indexBytes, mediaTypes, pushBlob, pushIndex, randomText } from "./content.ts";
import { allPages, type Answer, expectProblem, freshRepository, nextPage, useRegistry } from "./registry-client.ts";
import { describeEachDatabase } from "../support/databases.ts";

const tagsIn = (answer: Answer): readonly string[] => (answer.json() as { tags: readonly string[] }).tags;

describeEachDatabase("tags", (dialect) => {
  const registry = useRegistry({ dialect });

  const list = (repository: string, query = ""): Promise<Answer> =>
    registry.send("GET", `/v2/${repository}/tags/list${query}`);

  /** Sets many tags with few requests. */
  async function pushTags(repository: string, tags: readonly string[]): Promise<void> {
    const bytes = indexBytes([], { annotations: { id: randomText() } });
    for (let start = 0; start < tags.length; start += 50) {
      const query = tags
        .slice(start, start + 50)
        .map((tag) => `tag=${tag}`)
        .join("&");
      const answer = await registry.send("PUT", `/v2/${repository}/manifests/${digestOf(bytes)}?${query}`, {
        headers: { "Content-Type": mediaTypes.index },
        body: bytes,
      });
      expect(answer.status).toBe(201);
    }
  }

  test("an unknown repository is 404 NAME_UNKNOWN", async () => {
    expectProblem(await list(freshRepository()), 404, "NAME_UNKNOWN");
  });

  test("a repository with no tags left is 200 with an empty list, never null", async () => {
    const repository = freshRepository();
    await pushIndex(registry, repository, { tag: "only" });
    expect((await registry.send("DELETE", `/v2/${repository}/manifests/only`)).status).toBe(202);
    const answer = await list(repository);
    expect(answer.status).toBe(200);
    expect(answer.json()).toEqual({ name: repository, tags: [] });
  });

  test("a repository with manifests or blobs but never a tag is 200 with an empty list", async () => {
    const withManifest = freshRepository();
    await pushIndex(registry, withManifest);
    expect((await list(withManifest)).json()).toEqual({ name: withManifest, tags: [] });
    const withBlob = freshRepository();
    await pushBlob(registry, withBlob, Buffer.from("x"));
    const answer = await list(withBlob);
    expect([200, 404]).toContain(answer.status);
    if (answer.status === 200) expect(tagsIn(answer)).toEqual([]);
  });

  const repository = freshRepository();
  // Bytewise order: digits, capitals, underscore, small letters; and no number is a number.
  const sorted = ["0", "1", "10", "2", "A", "B", "Z", "_", "a", "a-b", "a.b", "a0", "aA", "a_b", "aa", "latest", "z"];

  beforeAll(async () => {
    await pushTags(repository, sorted.toReversed());
  });

  test("tags are sorted bytewise and the answer is JSON with name and tags", async () => {
    const answer = await list(repository);
    expect(answer.header("content-type")).toStartWith("application/json");
    expect(answer.json()).toEqual({ name: repository, tags: sorted });
  });

  describe("paging", () => {
    test("by n and Link visits each tag exactly once, and every page but the last has n", async () => {
      for (const n of [1, 2, 3, 5, 16, 17, 18, 1000]) {
        const pages = await allPages(registry, `/v2/${repository}/tags/list?n=${String(n)}`);
        expect(pages.flatMap(tagsIn)).toEqual(sorted);
        for (const page of pages.slice(0, -1)) expect(tagsIn(page)).toHaveLength(n);
      }
    });

    test("n returns exactly n", async () => {
      expect(tagsIn(await list(repository, "?n=4"))).toEqual(sorted.slice(0, 4));
    });

    test("n=0 is 200 with an empty list and no Link", async () => {
      const answer = await list(repository, "?n=0");
      expect([answer.status, tagsIn(answer), answer.header("link")]).toEqual([200, [], undefined]);
    });

    test("n that is negative, text, a fraction or empty is 400", async () => {
      for (const n of ["-1", "abc", "1.5", "NaN", "0x10", "1e3", "%00"]) {
        expectProblem(await list(repository, `?n=${n}`), 400, "PAGINATION_NUMBER_INVALID", "UNSUPPORTED", "UNKNOWN");
      }
    });

    test("n larger than the cap is clamped with Link, however large", async () => {
      const many = freshRepository();
      const tags = Array.from({ length: 1005 }, (_, at) => `t${String(at).padStart(4, "0")}`);
      await pushTags(many, tags);
      for (const n of ["1001", "2147483647", "99999999999999999999"]) {
        const answer = await list(many, `?n=${n}`);
        if (answer.status === 400) continue;
        expect(answer.status).toBe(200);
        expect(tagsIn(answer)).toHaveLength(1000);
        expect(nextPage(answer)).toBeDefined();
      }
      expect((await list(many, "?n=1001")).status).toBe(200);
      const pages = await allPages(registry, `/v2/${many}/tags/list?n=1001`);
      expect(pages.flatMap(tagsIn)).toEqual(tags);
      const byDefault = await allPages(registry, `/v2/${many}/tags/list`);
      expect(byDefault.flatMap(tagsIn)).toEqual(tags);
    }, 60_000);

    test("a last page that is exactly full has no Link, or one that leads to an empty list", async () => {
      const answer = await list(repository, `?n=${String(sorted.length)}`);
      expect(tagsIn(answer)).toEqual(sorted);
      const next = nextPage(answer);
      if (next !== undefined) expect(tagsIn(await registry.send("GET", next))).toEqual([]);
    });

    test("last is a value, not a position: it need not exist", async () => {
      expect(tagsIn(await list(repository, "?last=a0"))).toEqual(sorted.slice(sorted.indexOf("aA")));
      expect(tagsIn(await list(repository, "?last=a1"))).toEqual(sorted.slice(sorted.indexOf("aA")));
      expect(tagsIn(await list(repository, "?last=Y&n=2"))).toEqual(["Z", "_"]);
      expect(tagsIn(await list(repository, "?last=zzz"))).toEqual([]);
      expect(tagsIn(await list(repository, "?last="))).toEqual(sorted);
    });

    test("last that no tag could be is literal, or 400", async () => {
      for (const last of ["%20", "%22", "a%2Fb", "%C3%BC", "%27--", "%00", "%ed%a0%80"]) {
        const answer = await list(repository, `?last=${last}`);
        expect([200, 400]).toContain(answer.status);
      }
    });

    test("Link is relative or of the same host, rel next, keeps n and escapes last", async () => {
      const answer = await list(repository, "?n=3&ns=docker.io");
      const next = new URL(nextPage(answer) ?? "", "http://registry.invalid");
      expect(next.pathname).toBe(`/v2/${repository}/tags/list`);
      expect(next.searchParams.get("n")).toBe("3");
      expect(next.searchParams.get("last")).toBe(sorted[2] ?? "none");
      expect(answer.header("link")).toMatch(/^<[^\s"<>]+>; rel="next"$/);
    });

    test("while tags come and go repeats none and loses none that stayed", async () => {
      const busy = freshRepository();
      const tags = ["b", "d", "f", "h", "j"];
      await pushTags(busy, tags);
      const first = await list(busy, "?n=2");
      expect(tagsIn(first)).toEqual(["b", "d"]);
      await pushTags(busy, ["a", "e"]);
      expect((await registry.send("DELETE", `/v2/${busy}/manifests/d`)).status).toBe(202);
      const pages = await allPages(registry, nextPage(first) ?? "");
      expect(pages.flatMap(tagsIn)).toEqual(["e", "f", "h", "j"]);
    });
  });
});
