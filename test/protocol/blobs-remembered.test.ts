import { Database } from "bun:sqlite";
import { expect, test } from "bun:test";
import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { describeEachDatabase } from "../support/databases.ts";
import { startServer } from "../support/server.ts";
import { pushBlob } from "./content.ts";
import { freshRepository, type Registry, registryOf, useRegistry } from "./registry-client.ts";

/** GET and HEAD, often enough for what may be known from before. */
async function statuses(registry: Registry, repository: string, digest: string): Promise<ReadonlySet<number>> {
  const found = new Set<number>();
  for (const method of ["GET", "HEAD", "GET"]) {
    found.add((await registry.send(method, `/v2/${repository}/blobs/${digest}`)).status);
  }
  return found;
}

const [found, absent] = [new Set([200]), new Set([404])];

describeEachDatabase("a blob that was asked for before", (dialect) => {
  const registry = useRegistry({ dialect });

  test("is gone with the answer to its deletion, and back with the answer to each push", async () => {
    const repository = freshRepository();
    const bytes = randomBytes(1000);
    for (let round = 0; round < 10; round++) {
      const digest = await pushBlob(registry, repository, bytes);
      expect(await statuses(registry, repository, digest)).toEqual(found);
      expect((await registry.send("DELETE", `/v2/${repository}/blobs/${digest}`)).status).toBe(202);
      expect(await statuses(registry, repository, digest)).toEqual(absent);
    }
  });

  test("is in no other repository for that, before it is mounted there, nor in the first one any longer than in it", async () => {
    const [source, target] = [freshRepository(), freshRepository()];
    const digest = await pushBlob(registry, source, randomBytes(1000));
    await pushBlob(registry, target, randomBytes(10));
    expect(await statuses(registry, source, digest)).toEqual(found);
    expect(await statuses(registry, target, digest)).toEqual(absent);
    const mount = `/v2/${target}/blobs/uploads/?mount=${digest}&from=${source}`;
    expect((await registry.send("POST", mount, { body: "" })).status).toBe(201);
    expect(await statuses(registry, target, digest)).toEqual(found);
    expect((await registry.send("DELETE", `/v2/${source}/blobs/${digest}`)).status).toBe(202);
    expect(await statuses(registry, source, digest)).toEqual(absent);
    expect(await statuses(registry, target, digest)).toEqual(found);
  });
});

test("another process's change counts with the next request", async () => {
  await using server = await startServer();
  const registry = registryOf(server);
  const repository = freshRepository();
  const digest = await pushBlob(registry, repository, randomBytes(1000));
  const other = new Database(join(server.data, "berth.sqlite"));
  other.run("PRAGMA busy_timeout = 5000");
  for (let round = 0; round < 10; round++) {
    expect(await statuses(registry, repository, digest)).toEqual(found);
    other.run("update blobs set damaged_at = 1 where digest = ?", [digest]);
    expect(await statuses(registry, repository, digest)).toEqual(absent);
    other.run("update blobs set damaged_at = null where digest = ?", [digest]);
  }
  other.close();
}, 60_000);
