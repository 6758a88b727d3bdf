import { expect, test } from "bun:test";
import { describeEachDatabase } from "../support/databases.ts";
import { bearerFor } from "./bearer.ts";
import { absentDigest, mediaTypes, pushIndex } from "./content.ts";
import { type Answer, basic, freshRepository, type Registry, useRegistry } from "./registry-client.ts";

/** Asks often enough for an answer that may be given from memory. */
async function asked(registry: Registry, path: string): Promise<readonly Answer[]> {
  const answers = [];
  for (let round = 0; round < 3; round++) answers.push(await registry.send("GET", path));
  expect(answers.map(({ status }) => status)).toEqual([200, 200, 200]);
  return answers;
}

const listsOf = (repository: string, subject: string): readonly string[] => [
  `/v2/${repository}/tags/list?n=1000`,
  `/v2/${repository}/referrers/${subject}`,
  "/v2/_catalog?n=1000",
];

/** All but what is each answer's own. */
const told = ({ bytes, headers }: Answer): readonly unknown[] => [bytes, { ...headers, "x-request-id": "", date: "" }];

describeEachDatabase("a list that was asked for before", (dialect) => {
  const registry = useRegistry({ dialect });

  const referTo = (repository: string, subject: string, tag: string) =>
    pushIndex(registry, repository, {
      tag,
      fields: { subject: { mediaType: mediaTypes.index, digest: subject, size: 2 }, annotations: { tag } },
    });

  test("is answered the same again, each time under an id of its own, page by page and as HEAD", async () => {
    const [repository, subject] = [freshRepository(), absentDigest()];
    for (const tag of ["a", "b"]) await referTo(repository, subject, tag);
    await referTo(freshRepository(), subject, "a");
    for (const list of listsOf(repository, subject)) {
      const path = list.replace(/\?.*/, "");
      const pages = [`${path}?n=1`, `${path}?n=1&last=0`, path];
      for (const page of pages) {
        const answers = await asked(registry, page);
        const [first = [], ...others] = answers.map(told);
        for (const other of others) expect(other).toEqual(first);
        expect(new Set(answers.map((answer) => answer.header("x-request-id"))).size).toBe(3);
        const head = await registry.send("HEAD", page);
        expect([head.status, head.bytes.length, head.header("link"), head.header("content-type")]).toEqual([
          200,
          0,
          answers[0]?.header("link"),
          answers[0]?.header("content-type"),
        ]);
      }
      const texts = await Promise.all(pages.map(async (page) => (await registry.send("GET", page)).text));
      expect([path, texts[0] === texts[2]]).toEqual([path, false]);
    }
  });

  test("has what was pushed with the answer to each push, and nothing of it with the answer to its deletion", async () => {
    const subject = absentDigest();
    for (let round = 0; round < 10; round++) {
      const repository = freshRepository();
      const lists = listsOf(repository, subject);
      const { digest } = await referTo(repository, subject, "latest");
      const names = ["latest", digest, repository];
      const pushed = await Promise.all(lists.map((path) => registry.send("GET", path)));
      expect(pushed.map(({ text }, at) => text.includes(`"${names[at]}"`))).toEqual([true, true, true]);
      for (const path of lists) await asked(registry, path);
      const deleted = await registry.send("DELETE", `/v2/${repository}/manifests/${digest}`);
      expect(deleted.status).toBe(202);
      const left = await Promise.all(lists.slice(0, 2).map((path) => registry.send("GET", path)));
      expect(left.map(({ text }, at) => text.includes(`"${names[at]}"`))).toEqual([false, false]);
    }
  });

  test("is nobody's who may not read it, and shows each what is theirs, whoever has just read it", async () => {
    const [repository, subject] = [freshRepository(), absentDigest()];
    await referTo(repository, subject, "v1");
    const reads = await bearerFor(registry, `repository:${repository}:pull`);
    const readsAnother = await bearerFor(registry, `repository:${freshRepository()}:pull`);
    const strangers = [undefined, readsAnother, `${reads}x`, basic("admin", "wrong"), "Basic Og==", "Bearer"];
    for (const path of listsOf(repository, subject)) {
      await asked(registry, path);
      if (!path.startsWith("/v2/_catalog")) await asked(registry.as(reads), path);
      for (const authorization of strangers) {
        const { status } = await registry.as(authorization).send("GET", path);
        expect([path, authorization, status]).toEqual([path, authorization, 401]);
      }
    }
    const catalog = await bearerFor(registry, "registry:catalog:*");
    for (const answer of await asked(registry.as(catalog), "/v2/_catalog?n=1000"))
      expect(answer.text).toContain(`"${repository}"`);
  });
});
