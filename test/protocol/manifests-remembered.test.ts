import { expect, test } from "bun:test";
import { resolve } from "node:path";
import { describeEachDatabase } from "../support/databases.ts";
import { startServer } from "../support/server.ts";
import { bearerFor, tokenReply } from "./bearer.ts";
import { digestOf, pushIndex } from "./content.ts";
import { type Answer, basic, freshRepository, type Registry, registryOf, useRegistry } from "./registry-client.ts";

/** Asks often enough for an answer that may be given from memory. */
async function warm(registry: Registry, path: string): Promise<void> {
  for (let round = 0; round < 3; round++) expect((await registry.send("GET", path)).status).toBe(200);
}

const told = ({ status, bytes, ...answer }: Answer): readonly unknown[] => [
  status,
  digestOf(bytes),
  answer.header("docker-content-digest"),
  answer.header("content-type"),
  answer.header("content-length"),
  answer.header("etag"),
];

describeEachDatabase("a manifest that was asked for before", (dialect) => {
  const registry = useRegistry({ dialect });

  test("is answered the same again, each time under an id of its own, as GET, HEAD and 304", async () => {
    const repository = freshRepository();
    const { digest } = await pushIndex(registry, repository, { tag: "v1" });
    for (const path of [`/v2/${repository}/manifests/v1`, `/v2/${repository}/manifests/${digest}`]) {
      const answers = [];
      for (let round = 0; round < 4; round++) answers.push(await registry.send("GET", path));
      expect(new Set(answers.map((answer) => JSON.stringify(told(answer)))).size).toBe(1);
      expect(new Set(answers.map((answer) => answer.header("x-request-id"))).size).toBe(4);
      const head = await registry.send("HEAD", path);
      expect([head.status, head.bytes.length]).toEqual([200, 0]);
      for (const name of ["docker-content-digest", "content-type", "content-length", "etag"]) {
        expect([name, head.header(name)]).toEqual([name, answers[0]?.header(name)]);
      }
      const unchanged = await registry.send("GET", path, { headers: { "If-None-Match": `"${digest}"` } });
      expect([unchanged.status, unchanged.bytes.length]).toEqual([304, 0]);
    }
  });

  test("is answered to many at once under an id for each, with its bytes and without them", async () => {
    const repository = freshRepository();
    const { digest } = await pushIndex(registry, repository, { tag: "v1" });
    const path = `/v2/${repository}/manifests/v1`;
    const ask = (tags: string) => registry.send("GET", path, { headers: { "If-None-Match": tags } });
    for (let round = 0; round < 3; round++) {
      const answers = await Promise.all(
        Array.from({ length: 24 }, (_, at) => ask(at % 2 === 0 ? `"${digest}"` : '"another"')),
      );
      expect(answers.map(({ status }) => status)).toEqual(answers.map((_, at) => (at % 2 === 0 ? 304 : 200)));
      expect(new Set(answers.map((answer) => answer.header("x-request-id"))).size).toBe(24);
      for (const answer of answers) expect(answer.header("etag")).toBe(`"${digest}"`);
    }
    await pushIndex(registry, repository, { tag: "v1" });
    expect((await ask(`"${digest}"`)).status).toBe(200);
  });

  test("is a new one with the answer to each push, and none with the answer to its deletion", async () => {
    const repository = freshRepository();
    const path = `/v2/${repository}/manifests/v1`;
    for (let round = 0; round < 30; round++) {
      const { digest } = await pushIndex(registry, repository, { tag: "v1" });
      const answers = await Promise.all([registry.send("GET", path), registry.send("HEAD", path)]);
      expect(answers.map((answer) => answer.header("docker-content-digest"))).toEqual([digest, digest]);
    }
    await warm(registry, path);
    const now = (await registry.send("HEAD", path)).header("docker-content-digest");
    expect((await registry.send("DELETE", `/v2/${repository}/manifests/${now}`)).status).toBe(202);
    for (const method of ["GET", "HEAD"]) expect((await registry.send(method, path)).status).toBe(404);
  });

  test("is nobody's who may not read it, whoever has just read it", async () => {
    const repository = freshRepository();
    await pushIndex(registry, repository, { tag: "v1" });
    const path = `/v2/${repository}/manifests/v1`;
    const reads = await bearerFor(registry, `repository:${repository}:pull`);
    const readsAnother = await bearerFor(registry, `repository:${freshRepository()}:pull`);
    await warm(registry, path);
    await warm(registry.as(reads), path);
    const strangers = [undefined, readsAnother, `${reads}x`, basic("admin", "wrong"), "Basic Og==", "Bearer"];
    for (const authorization of strangers) {
      expect([authorization, (await registry.as(authorization).send("GET", path)).status]).toEqual([
        authorization,
        401,
      ]);
    }
    await warm(registry.as(reads), path);
  });
});

const berth = resolve(import.meta.dir, "../../bin/berth");

test("another process's change counts with the next request, and a right password counts for nothing after wrong ones", async () => {
  await using server = await startServer();
  const admin = registryOf(server);
  const repository = freshRepository();
  await pushIndex(admin, repository, { tag: "v1" });
  const path = `/v2/${repository}/manifests/v1`;
  const reply = await admin.send("GET", `/token?service=berth&scope=repository:${repository}:pull`);
  const bearer = admin.as(`Bearer ${tokenReply(reply).token}`);
  await warm(admin, path);
  await warm(bearer, path);
  const child = Bun.spawn([berth, "user", "password", "admin", "--data", server.data], {
    stdin: Buffer.from("another-long-password-of-some-kind\n"),
    stdout: "ignore",
    stderr: "ignore",
  });
  expect(await child.exited).toBe(0);
  expect((await admin.send("GET", path)).status).toBe(401);
  expect((await bearer.send("GET", path)).status).toBe(401);
  const renewed = admin.as(basic("admin", "another-long-password-of-some-kind"));
  await warm(renewed, path);
  for (let guess = 0; guess < 10; guess++) await admin.as(basic("admin", `wrong-${guess}`)).send("GET", path);
  expect((await renewed.send("GET", path)).status).toBe(429);
}, 60_000);
