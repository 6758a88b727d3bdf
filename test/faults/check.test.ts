import { Database } from "bun:sqlite";
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { randomBytes } from "node:crypto";
import { cp, mkdtemp, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { digestOf, pushBlob, pushImage } from "../protocol/content.ts";
import { registryOf } from "../protocol/registry-client.ts";
import { startServer } from "../support/server.ts";
import { loadClient } from "./load/load-client.ts";
import { runCheck } from "./run-check.ts";

const repository = "acme/checked";
const bytes = randomBytes(10_000);
const digest = digestOf(bytes);

interface Planted {
  readonly data: string;
  /** Where the blob's bytes are. */
  readonly file: string;
  sql(statement: string): void;
}

const faults: Readonly<Record<string, (planted: Planted) => Promise<void> | void>> = {
  "missing-bytes": ({ file }) => rm(file),
  "wrong-bytes": async ({ file }) => {
    const content = await readFile(file);
    await writeFile(file, content.fill(0, 5000, 5001));
    if (digestOf(content) === digest) await writeFile(file, content.fill(1, 5000, 5001));
  },
  "wrong-size": ({ file }) => truncate(file, 9999),
  "unknown-visibility": ({ sql }) => sql("update repositories set visibility = 'everyone'"),
  "dangling-tag": ({ sql }) => sql("update tags set digest = 'sha256:' || printf('%064d', 1)"),
  "membership-without-blob": ({ sql }) =>
    sql(`insert into repository_blobs (repository_id, digest, leased_until)
         select id, 'sha256:' || printf('%064d', 2), 0 from repositories`),
  "orphan-file": ({ file }) => cp(file, join(file, "../../00/00000000000000000000000000000000")),
  // And what else may be wrong with rows alone.
  "wrong-manifest": ({ sql }) => sql("update manifests set bytes = cast('{}' as blob)"),
  "membership-without-manifest": ({ sql }) => sql("delete from manifests"),
};

describe("berth check", () => {
  let folder = "";
  let whole = "";
  const checkWith = async (plant: (planted: Planted) => Promise<void> | void) => {
    const data = await mkdtemp(join(folder, "planted-"));
    await cp(whole, data, { recursive: true });
    const database = new Database(join(data, "berth.sqlite"));
    const row = database.query("select blob_key from blobs where digest = ?").get(digest) as { blob_key: string };
    const file = join(data, "blobs", row.blob_key.slice(0, 2), row.blob_key);
    await plant({ data, file, sql: (statement) => void database.run(statement) });
    database.close();
    return runCheck(data);
  };

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "berth-check-"));
    whole = join(folder, "whole");
    const server = await startServer({ data: whole });
    await pushBlob(registryOf(server), repository, bytes);
    await pushImage(registryOf(server), repository, { tag: "v1" });
    await server.stop();
  }, 60_000);
  afterAll(() => rm(folder, { recursive: true, force: true }), 60_000);

  for (const [kind, plant] of Object.entries(faults)) {
    test(`finds ${kind}, and nothing else`, async () => {
      const { findings, totals, exitCode } = await checkWith(plant);
      expect(findings.map((finding) => finding.kind)).toEqual([kind]);
      expect([totals["findings"], exitCode]).toEqual([1, 1]);
    }, 60_000);
  }

  test("finds the bytes of an upload that is over; the server removes them", async () => {
    const data = await mkdtemp(join(folder, "swept-"));
    await cp(whole, data, { recursive: true });
    await writeFile(join(data, "uploads", "0123456789abcdef0123456789abcdef"), "left behind");
    expect((await runCheck(data)).findings).toMatchObject([{ kind: "orphan-file", finished: false }]);
    await using server = await startServer({ data, env: { BERTH_COLLECT_INTERVAL_SECONDS: "1" } });
    const deadline = Date.now() + 20_000;
    const exitCode = async (): Promise<number> => (await runCheck(server.data)).exitCode;
    while ((await exitCode()) !== 0 && Date.now() < deadline) await Bun.sleep(200);
    expect(await exitCode()).toBe(0);
  }, 60_000);

  test("finds nothing in what is whole", async () => {
    const { findings, totals, exitCode } = await checkWith(() => undefined);
    expect({ findings, exitCode }).toEqual({ findings: [], exitCode: 0 });
    expect(totals["blobs"]).toBe(3);
  }, 60_000);

  test("beside a server under load finds nothing that is only on its way", async () => {
    const data = await mkdtemp(join(folder, "busy-"));
    await cp(whole, data, { recursive: true });
    await using server = await startServer({ data, env: { BERTH_COLLECT_INTERVAL_SECONDS: "1" } });
    const [source] = (await pushImage(registryOf(server), repository, { tag: "v2" })).layers;
    if (source === undefined) throw new Error("an image without a layer");
    let isOver = false;
    const clients = [0, 1].map((at) => loadClient(`acme/busy-${String(at)}`, { repository, digest: source.digest }));
    const running = clients.map((client) => client.run(registryOf(server), () => isOver));
    for (let round = 0; round < 3; round++) expect((await runCheck(data)).findings).toEqual([]);
    isOver = true;
    await server.stop("SIGKILL");
    await Promise.all(running);
    expect(clients.flatMap((client) => client.problems())).toEqual([]);
    expect(clients.every((client) => client.acknowledged.size > 5)).toBe(true);
  }, 60_000);

  test("says what it found in words, and that it was a failure", () => {
    const berth = Bun.spawnSync(["bin/berth", "check", "--data", join(folder, "nowhere")]);
    expect([berth.exitCode, berth.stderr.toString()]).toEqual([2, expect.stringContaining("there is no registry")]);
  });
});
