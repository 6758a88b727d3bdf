import { beforeAll, describe, expect, test } from "bun:test";
import { pushIndex } from "./content.ts";
import { allPages, type Answer, expectProblem, freshRepository, nextPage, useRegistry } from "./registry-client.ts";
import { missingProcessTable, processListeningOn, residentBytes } from "./server-process.ts";
import { describeEachDatabase } from "../support/databases.ts";
import { requirement } from "../support/requirement.ts";

const repositoriesIn = (answer: Answer): readonly string[] =>
  (answer.json() as { repositories: readonly string[] }).repositories;

describeEachDatabase("catalog", (dialect) => {
  const registry = useRegistry({ dialect });

  const catalog = (query = ""): Promise<Answer> => registry.send("GET", `/v2/_catalog${query}`);

  const sorted = [
    ...Array.from({ length: 104 }, (_, at) => `team/app${String(at).padStart(3, "0")}`),
    "library/shown",
    "plain",
    "a-b/c",
    "a/b",
    "a.b/c",
  ].toSorted();

  beforeAll(async () => {
    for (const repository of sorted) await pushIndex(registry, repository, { tag: "v1" });
  }, 60_000);

  test("answers repositories, sorted bytewise", async () => {
    const answer = await catalog("?n=1000");
    expect(answer.status).toBe(200);
    expect(answer.header("content-type")).toStartWith("application/json");
    expect(answer.json()).toEqual({ repositories: sorted });
    expect(answer.header("link")).toBeUndefined();
  });

  test("gives 100 entries by default, and Link to the next", async () => {
    const answer = await catalog();
    expect(repositoriesIn(answer)).toEqual(sorted.slice(0, 100));
    expect(nextPage(answer)).toBeDefined();
    expect((await allPages(registry, "/v2/_catalog")).flatMap(repositoriesIn)).toEqual(sorted);
  });

  test("paging by n and Link visits each repository exactly once", async () => {
    for (const n of [7, 50, sorted.length - 1, sorted.length]) {
      const pages = await allPages(registry, `/v2/_catalog?n=${String(n)}`);
      expect(pages.flatMap(repositoriesIn)).toEqual(sorted);
      for (const page of pages.slice(0, -1)) expect(repositoriesIn(page)).toHaveLength(n);
    }
  });

  test("Link keeps n and escapes last", async () => {
    const answer = await catalog("?n=2");
    const next = new URL(nextPage(answer) ?? "", "http://registry.invalid");
    expect(next.pathname).toBe("/v2/_catalog");
    expect(next.searchParams.get("n")).toBe("2");
    expect(next.searchParams.get("last")).toBe(sorted[1] ?? "none");
  });

  test("last need not exist", async () => {
    expect(repositoriesIn(await catalog("?last=team/app1000&n=2"))).toEqual(["team/app101", "team/app102"]);
    expect(repositoriesIn(await catalog("?last=zzz"))).toEqual([]);
  });

  describe("n that is larger than 1000, negative or no number is 400 PAGINATION_NUMBER_INVALID", () => {
    for (const n of ["1001", "2147483647", "99999999999999999999", "-1", "abc", "1.5", "NaN"]) {
      test(n, async () => {
        expectProblem(await catalog(`?n=${n}`), 400, "PAGINATION_NUMBER_INVALID");
      });
    }
  });

  test("n=0 is an empty list without Link, or 400", async () => {
    const answer = await catalog("?n=0");
    if (answer.status === 400) expectProblem(answer, 400, "PAGINATION_NUMBER_INVALID");
    else expect([answer.status, repositoriesIn(answer), answer.header("link")]).toEqual([200, [], undefined]);
  });

  requirement("huge page numbers on any list", missingProcessTable, () => {
    test("leave the memory of the server as it was", async () => {
      const pid = await processListeningOn(registry.server().host);
      await catalog("?n=1000");
      const before = await residentBytes(pid);
      for (let round = 0; round < 50; round += 1) {
        await catalog("?n=2147483647");
        await registry.send("GET", "/v2/plain/tags/list?n=2147483647");
        await registry.send("GET", `/v2/plain/referrers/sha256:${"0".repeat(64)}?n=2147483647`);
      }
      expect((await residentBytes(pid)) - before).toBeLessThan(64 << 20);
    });
  });

  test("anonymous callers see only the repositories that everyone may pull", async () => {
    const anonymous = registry.as(undefined);
    const challenged = await anonymous.send("GET", "/v2/_catalog");
    expect(challenged.status).toBe(401);
    expect(challenged.header("www-authenticate")).toContain('scope="registry:catalog:*"');
    const token = await anonymous.send("GET", "/token?service=berth&scope=registry:catalog:*");
    const { access_token: accessToken } = token.json() as { access_token: string };
    const answer = await registry.as(`Bearer ${accessToken}`).send("GET", "/v2/_catalog?n=1000");
    if (answer.status === 200) expect(repositoriesIn(answer)).toEqual(["library/shown"]);
    else expect([401, 403]).toContain(answer.status);
    expect(answer.text).not.toContain("team/");
  });

  describe("a registry of its own", () => {
    const fresh = useRegistry({ dialect });

    test("starts with an empty catalog, in which a repository appears with its first push, and never by a question", async () => {
      expect((await fresh.send("GET", "/v2/_catalog")).json()).toEqual({ repositories: [] });
      const [pushed, asked] = [freshRepository(), freshRepository()];
      await fresh.send("GET", `/v2/${asked}/tags/list`);
      await fresh.send("HEAD", `/v2/${asked}/manifests/latest`);
      await fresh.send("DELETE", `/v2/${asked}/manifests/latest`);
      await pushIndex(fresh, pushed, { tag: "v1" });
      expect((await fresh.send("GET", "/v2/_catalog")).json()).toEqual({ repositories: [pushed] });
    });
  });
});
