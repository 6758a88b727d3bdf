import { Database } from "bun:sqlite";
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { randomBytes } from "node:crypto";
import { readFile, rename, rm, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { digestOf, pushBlob } from "../protocol/content.ts";
import { expectProblem, type Registry, registryOf } from "../protocol/registry-client.ts";
import { startServer, type TestServer } from "../support/server.ts";
import { runCheck } from "./run-check.ts";

const repository = "acme/damaged";

describe("a blob whose bytes are damaged", () => {
  let server: TestServer | undefined;
  const running = (): TestServer => {
    if (server === undefined) throw new Error("the server runs only while tests run");
    return server;
  };
  const registry = (): Registry => registryOf(running());
  const fileOf = (digest: string): string => {
    const database = new Database(join(running().data, "berth.sqlite"), { readonly: true });
    const row = database.query("select blob_key from blobs where digest = ?").get(digest) as { blob_key: string };
    database.close();
    return join(running().data, "blobs", row.blob_key.slice(0, 2), row.blob_key);
  };
  const get = (method: "GET" | "HEAD", digest: string, headers: Record<string, string> = {}) =>
    registry().send(method, `/v2/${repository}/blobs/${digest}`, { headers });
  const expectWhole = async (bytes: Buffer): Promise<void> => {
    expect((await get("HEAD", digestOf(bytes))).header("content-length")).toBe(String(bytes.length));
    const answer = await get("GET", digestOf(bytes));
    expect([answer.status, digestOf(answer.bytes)]).toEqual([200, digestOf(bytes)]);
  };
  beforeAll(async () => {
    server = await startServer();
  }, 60_000);
  afterAll(() => server?.[Symbol.asyncDispose](), 60_000);

  const losses: Readonly<Record<string, (file: string) => Promise<void>>> = {
    missing: (file) => rm(file),
    "cut short": (file) => truncate(file, 4999),
    "grown too long": async (file) => writeFile(file, Buffer.concat([await readFile(file), Buffer.from("more")])),
  };
  for (const [name, lose] of Object.entries(losses)) {
    test(`(${name}) is unknown to all who ask, told to the operator, and whole after the next push`, async () => {
      const bytes = randomBytes(5000);
      const digest = await pushBlob(registry(), repository, bytes);
      await expectWhole(bytes);
      await lose(fileOf(digest));
      expect((await get("HEAD", digest)).status).toBe(404);
      expectProblem(await get("GET", digest), 404, "BLOB_UNKNOWN");
      expectProblem(await get("GET", digest, { Range: "bytes=10-20" }), 404, "BLOB_UNKNOWN");
      expectProblem(await get("GET", digest, { Range: "bytes=10-20,30-40" }), 404, "BLOB_UNKNOWN");
      const mount = await registry().send("POST", `/v2/acme/other/blobs/uploads/?mount=${digest}&from=${repository}`);
      expect(mount.status).toBe(202);
      await running().logged();
      const told = running()
        .log()
        .filter(({ event, digest: of }) => event === "blob damaged" && of === digest);
      expect(told).toHaveLength(4);
      await pushBlob(registry(), repository, bytes);
      await expectWhole(bytes);
    });
  }

  test("in a way that only reading shows is withheld once berth check has found it, until somebody pushes it", async () => {
    const bytes = randomBytes(5000);
    const digest = await pushBlob(registry(), repository, bytes);
    const file = fileOf(digest);
    const rotten = Buffer.from(bytes);
    rotten.writeUInt8(rotten.readUInt8(2500) ^ 1, 2500);
    await writeFile(file, rotten);
    const found = { findings: [{ kind: "wrong-bytes", digest }], exitCode: 1 };
    expect(await runCheck(running().data)).toMatchObject(found);
    expect((await get("HEAD", digest)).status).toBe(200);
    expect(await runCheck(running().data, "--quarantine")).toMatchObject(found);
    expect((await get("HEAD", digest)).status).toBe(404);
    expectProblem(await get("GET", digest), 404, "BLOB_UNKNOWN");
    await pushBlob(registry(), repository, bytes);
    await expectWhole(bytes);
    expect(await runCheck(running().data)).toMatchObject({ findings: [], exitCode: 0 });
  }, 60_000);

  test("is given back where its file is, by the next check", async () => {
    const bytes = randomBytes(5000);
    const digest = await pushBlob(registry(), repository, bytes);
    const file = fileOf(digest);
    await rename(file, `${file}.copy`);
    expect(await runCheck(running().data, "--quarantine")).toMatchObject({ findings: [{ kind: "missing-bytes" }] });
    await rename(`${file}.copy`, file);
    expect((await get("HEAD", digest)).status).toBe(404);
    expect(await runCheck(running().data)).toMatchObject({
      findings: [{ kind: "withheld-blob", digest }],
      exitCode: 1,
    });
    expect(await runCheck(running().data, "--quarantine")).toMatchObject({ findings: [], exitCode: 0 });
    await expectWhole(bytes);
  }, 60_000);
});
