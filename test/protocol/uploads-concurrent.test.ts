import { expect, test } from "bun:test";
import { randomBytes } from "node:crypto";
import { digestOf, inPieces, startUpload } from "./content.ts";
import { storedBytes } from "./data-folder.ts";
import { freshRepository, useRegistry, withQuery } from "./registry-client.ts";
import { describeEachDatabase } from "../support/databases.ts";

/** Half of the pieces, then a wait for the gate, then the rest. */
async function* held(pieces: readonly Uint8Array[], gate: Promise<unknown>): AsyncGenerator<Uint8Array> {
  const half = pieces.length / 2;
  yield* pieces.slice(0, half);
  await gate;
  yield* pieces.slice(half);
}

describeEachDatabase("concurrent uploads", (dialect) => {
  const registry = useRegistry({ dialect, env: { BERTH_COLLECT_INTERVAL_SECONDS: "1" } });

  const octets = { "Content-Type": "application/octet-stream" };

  test("two concurrent PUT-finishes: one 201, the other 201, 404, 409 or 416, and the content is whole", async () => {
    for (let round = 0; round < 5; round += 1) {
      const repository = freshRepository();
      const bytes = randomBytes(200_000);
      const location = await startUpload(registry, repository);
      await registry.send("PATCH", location, { body: bytes });
      const target = withQuery(location, `digest=${digestOf(bytes)}`);
      const answers = await Promise.all([1, 2, 3].map(() => registry.send("PUT", target, { body: "" })));
      const statuses = answers.map((answer) => answer.status);
      expect(statuses).toContain(201);
      for (const status of statuses) expect([201, 404, 409, 416]).toContain(status);
      const pulled = await registry.send("GET", `/v2/${repository}/blobs/${digestOf(bytes)}`);
      expect(pulled.bytes.equals(bytes)).toBe(true);
    }
  });

  test("two concurrent PUTs with the body: one 201, and what is stored is the pushed content", async () => {
    const repository = freshRepository();
    const bytes = randomBytes(500_000);
    const target = withQuery(await startUpload(registry, repository), `digest=${digestOf(bytes)}`);
    const answers = await Promise.all([1, 2].map(() => registry.send("PUT", target, { body: inPieces(bytes) })));
    expect(answers.map((answer) => answer.status)).toContain(201);
    for (const answer of answers) expect([201, 400, 404, 409, 416]).toContain(answer.status);
    const pulled = await registry.send("GET", `/v2/${repository}/blobs/${digestOf(bytes)}`);
    expect(pulled.bytes.equals(bytes)).toBe(true);
  });

  test("two PATCHes at the same offset at once: one 202, the loser 416, and only the winner's bytes are kept", async () => {
    for (let round = 0; round < 5; round += 1) {
      const repository = freshRepository();
      const location = await startUpload(registry, repository);
      const bodies = [randomBytes(100_000), randomBytes(100_000)];
      const answers = await Promise.all(
        bodies.map((body) =>
          registry.send("PATCH", location, { headers: { ...octets, "Content-Range": "0-99999" }, body }),
        ),
      );
      expect(answers.map((answer) => String(answer.status)).toSorted()).toEqual(["202", "416"]);
      const winner = bodies[answers.findIndex((answer) => answer.status === 202)] ?? Buffer.alloc(0);
      const put = await registry.send("PUT", withQuery(location, `digest=${digestOf(winner)}`), { body: "" });
      expect(put.status).toBe(201);
    }
  });

  test("a session has one writer at a time: a second one during a stream is 416, and the stream goes on", async () => {
    const repository = freshRepository();
    const location = await startUpload(registry, repository);
    const pieces = Array.from({ length: 8 }, () => randomBytes(10_000));
    const gate = Promise.withResolvers<undefined>();
    const stream = registry.send("PATCH", location, { body: held(pieces, gate.promise) });
    await Bun.sleep(400);
    const second = await registry.send("PATCH", location, { body: randomBytes(10) });
    gate.resolve(undefined);
    expect(second.status).toBe(416);
    const first = await stream;
    expect([first.status, first.header("range")]).toEqual([202, "0-79999"]);
    const digest = digestOf(Buffer.concat(pieces));
    expect((await registry.send("PUT", withQuery(location, `digest=${digest}`), { body: "" })).status).toBe(201);
  });

  test("a stream that breaks off leaves a session that goes on from what it tells", async () => {
    const repository = freshRepository();
    const location = await startUpload(registry, repository);
    const bytes = randomBytes(300_000);
    async function* broken(): AsyncGenerator<Uint8Array> {
      yield bytes.subarray(0, 100_000);
      await Bun.sleep(100);
      throw new Error("hung up");
    }
    await registry.send("PATCH", location, { body: broken() }).catch(() => "no answer, as wanted");
    let answer = await registry.send("GET", location);
    let offset = Number(answer.header("range")?.replace("0-", "")) + 1;
    // The server may notice the loss a moment later; the session refuses others until then.
    for (let attempt = 0; attempt < 100; attempt += 1) {
      const range = `${String(offset)}-${String(bytes.length - 1)}`;
      const headers = { ...octets, "Content-Range": range };
      answer = await registry.send("PATCH", location, { headers, body: bytes.subarray(offset) });
      if (answer.status === 202) break;
      expect(answer.status).toBe(416);
      await Bun.sleep(100);
      offset = Number((await registry.send("GET", location)).header("range")?.replace("0-", "")) + 1;
    }
    expect(answer.status).toBe(202);
    const put = await registry.send("PUT", withQuery(location, `digest=${digestOf(bytes)}`), { body: "" });
    expect(put.status).toBe(201);
  });

  test("N clients push the same blob at once: all 201, one stored copy, content intact", async () => {
    const repository = freshRepository();
    const bytes = randomBytes(4 << 20);
    const digest = digestOf(bytes);
    const { data } = registry.server();
    const before = await storedBytes(data);
    const statuses = await Promise.all(
      Array.from({ length: 8 }, async () => {
        const location = await startUpload(registry, repository);
        await registry.send("PATCH", location, { body: inPieces(bytes) });
        return (await registry.send("PUT", withQuery(location, `digest=${digest}`), { body: "" })).status;
      }),
    );
    expect(statuses).toEqual(Array.from({ length: 8 }, () => 201));
    const pulled = await registry.send("GET", `/v2/${repository}/blobs/${digest}`);
    expect(digestOf(pulled.bytes)).toBe(digest);
    // The copies that lost may go a little later than their answers.
    const deadline = Date.now() + 5000;
    while ((await storedBytes(data)) - before > bytes.length * 1.5 && Date.now() < deadline) await Bun.sleep(50);
    expect((await storedBytes(data)) - before).toBeLessThan(bytes.length * 1.5);
  }, 60_000);

  test("N clients push the same blob to repositories of their own: one stored copy", async () => {
    const bytes = randomBytes(4 << 20);
    const digest = digestOf(bytes);
    const { data } = registry.server();
    const before = await storedBytes(data);
    const repositories = Array.from({ length: 4 }, () => freshRepository());
    for (const repository of repositories) {
      const target = `/v2/${repository}/blobs/uploads/?digest=${digest}`;
      expect((await registry.send("POST", target, { body: bytes })).status).toBe(201);
    }
    const deadline = Date.now() + 5000;
    while ((await storedBytes(data)) - before > bytes.length * 1.5 && Date.now() < deadline) await Bun.sleep(50);
    expect((await storedBytes(data)) - before).toBeLessThan(bytes.length * 1.5);
    for (const repository of repositories) {
      expect((await registry.send("HEAD", `/v2/${repository}/blobs/${digest}`)).status).toBe(200);
    }
  }, 60_000);
});
