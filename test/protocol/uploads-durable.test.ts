import { describe, expect, test } from "bun:test";
import { randomBytes } from "node:crypto";
import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { startServer } from "../support/server.ts";
import { digestOf, inPieces, pushBlob, pushImage, startUpload } from "./content.ts";
import { freshRepository, registryOf, withQuery } from "./registry-client.ts";

/** A data folder that outlives its servers, and is gone after the test. */
async function dataFolder(): Promise<{ readonly path: string } & AsyncDisposable> {
  const path = await mkdtemp(join(tmpdir(), "berth-durable-"));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

describe("a 201 is durable", () => {
  test("after kill -9 right behind the 201 the blob, the manifest and the tag are there and verify", async () => {
    await using data = await dataFolder();
    const repository = freshRepository();
    const bytes = randomBytes(2_000_000);
    const killed = await startServer({ data: data.path });
    const image = await pushImage(registryOf(killed), repository, { tag: "v1" });
    const digest = await pushBlob(registryOf(killed), repository, bytes);
    await killed.stop("SIGKILL");
    await using server = await startServer({ data: data.path });
    const registry = registryOf(server);
    const blob = await registry.send("GET", `/v2/${repository}/blobs/${digest}`);
    expect([blob.status, digestOf(blob.bytes)]).toEqual([200, digest]);
    const manifest = await registry.send("GET", `/v2/${repository}/manifests/v1`);
    expect([manifest.status, digestOf(manifest.bytes)]).toEqual([200, image.digest]);
    const layer = await registry.send("GET", `/v2/${repository}/blobs/${image.layers[0]?.digest ?? "none"}`);
    expect([layer.status, digestOf(layer.bytes)]).toEqual([200, image.layers[0]?.digest ?? "none"]);
  }, 60_000);
});

describe("upload sessions survive a restart", () => {
  for (const signal of ["SIGTERM", "SIGKILL"] as const) {
    test(`after ${signal} the status tells what was acknowledged, and the upload goes on to its 201`, async () => {
      await using data = await dataFolder();
      const repository = freshRepository();
      const [first, second, third] = [randomBytes(100_000), randomBytes(50_000), randomBytes(7)];
      const stopped = await startServer({ data: data.path });
      const location = await startUpload(registryOf(stopped), repository);
      await registryOf(stopped).send("PATCH", location, { body: first });
      await registryOf(stopped).send("PATCH", location, { body: second });
      await stopped.stop(signal);
      await using server = await startServer({ data: data.path });
      const registry = registryOf(server);
      const told = await registry.send("GET", location);
      expect([told.status, told.header("range")]).toEqual([204, "0-149999"]);
      const headers = { "Content-Range": "150000-150006" };
      expect((await registry.send("PATCH", location, { headers, body: third })).status).toBe(202);
      const whole = Buffer.concat([first, second, third]);
      const put = await registry.send("PUT", withQuery(location, `digest=${digestOf(whole)}`), { body: "" });
      expect(put.status).toBe(201);
      const blob = await registry.send("GET", `/v2/${repository}/blobs/${digestOf(whole)}`);
      expect(blob.bytes.equals(whole)).toBe(true);
    }, 60_000);
  }

  test("a server that was killed while it wrote leaves a session that goes on at once", async () => {
    await using data = await dataFolder();
    const repository = freshRepository();
    const killed = await startServer({ data: data.path });
    const location = await startUpload(registryOf(killed), repository);
    await registryOf(killed).send("PATCH", location, { body: "acknowledged" });
    const socket = connect(Number(killed.host.split(":")[1]), "127.0.0.1").on("error", () => {});
    const sign = Buffer.from(`${killed.admin.username}:${killed.admin.password}`).toString("base64");
    const head = `PATCH ${location} HTTP/1.1\r\nHost: a\r\nAuthorization: Basic ${sign}\r\nContent-Length: 1000\r\n\r\n`;
    socket.write(`${head}half of it`);
    while ((await registryOf(killed).send("PATCH", location, { body: "x" })).status !== 416) await Bun.sleep(20);
    await killed.stop("SIGKILL");
    socket.destroy();
    await using server = await startServer({ data: data.path });
    const registry = registryOf(server);
    const [, end = ""] = (await registry.send("GET", location)).header("range")?.split("-") ?? [];
    const start = Number(end) + 1;
    const headers = { "Content-Range": `${start}-${start + 3}` };
    expect((await registry.send("PATCH", location, { headers, body: "more" })).status).toBe(202);
  }, 60_000);

  test("an empty PUT after a restart verifies the bytes of before it", async () => {
    await using data = await dataFolder();
    const repository = freshRepository();
    const bytes = randomBytes(100_000);
    const stopped = await startServer({ data: data.path });
    const locations = [
      await startUpload(registryOf(stopped), repository),
      await startUpload(registryOf(stopped), repository),
      await startUpload(registryOf(stopped), repository),
    ];
    for (const location of locations) await registryOf(stopped).send("PATCH", location, { body: bytes });
    await stopped.stop("SIGKILL");
    await using server = await startServer({ data: data.path });
    const registry = registryOf(server);
    const finish = async (at: number, digest: string): Promise<number> =>
      (await registry.send("PUT", withQuery(locations[at] ?? "", `digest=${digest}`), { body: "" })).status;
    expect(await finish(0, digestOf("other bytes"))).toBe(400);
    expect(await finish(1, digestOf(bytes))).toBe(201);
    expect(await finish(2, digestOf(bytes, "sha512"))).toBe(201);
  }, 60_000);
});

describe("disk full", () => {
  test("is a 5xx, no partial blob is visible, and smaller pushes go on", async () => {
    await using data = await dataFolder();
    // A limit on the size of files fails the write as a full disk does, on every machine and without a mount.
    const limited = join(data.path, "limited-berth");
    const berth = resolve(import.meta.dir, "../../bin/berth");
    await writeFile(limited, `#!/bin/bash\ntrap '' XFSZ\nulimit -f 20000\nexec '${berth}' "$@"\n`);
    await chmod(limited, 0o755);
    await using server = await startServer({ data: join(data.path, "data"), binary: limited });
    const registry = registryOf(server);
    const repository = freshRepository();
    const small = await pushBlob(registry, repository, randomBytes(1000));
    const piece = randomBytes(1 << 20);
    const pieces = Array.from({ length: 30 }, () => piece);
    const digest = digestOf(Buffer.concat(pieces));
    const location = await startUpload(registry, repository);
    const answer = await registry.send("PUT", withQuery(location, `digest=${digest}`), { body: inPieces(...pieces) });
    expect(answer.status).toBeGreaterThanOrEqual(500);
    expect(answer.status).toBeLessThan(600);
    expect((await registry.send("HEAD", `/v2/${repository}/blobs/${digest}`)).status).toBe(404);
    expect((await registry.send("GET", `/v2/${repository}/blobs/${small}`)).status).toBe(200);
    await pushBlob(registry, repository, randomBytes(1000));
  }, 60_000);
});
