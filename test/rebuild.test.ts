import { Database } from "bun:sqlite";
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { cp, mkdtemp, readdir, rm, truncate } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { pushImage } from "./protocol/content.ts";
import { type Registry, registryOf } from "./protocol/registry-client.ts";
import { startServer } from "./support/server.ts";

const berth = resolve(import.meta.dir, "../bin/berth");
const repository = "acme/journal";
const databaseFiles = ["berth.sqlite", "berth.sqlite-wal", "berth.sqlite-shm"] as const;

interface Outcome {
  readonly exitCode: number;
  readonly findings: readonly Readonly<Record<string, unknown>>[];
  readonly errors: string;
}

async function runRebuild(data: string, ...flags: readonly string[]): Promise<Outcome> {
  const command = Bun.spawn([berth, "rebuild", "--json", "--data", data, ...flags], {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const [output, errors] = await Promise.all([
    new Response(command.stdout).text(),
    new Response(command.stderr).text(),
  ]);
  const exitCode = await command.exited;
  const lines = output.split("\n").filter((line) => line.startsWith("{"));
  return { exitCode, errors, findings: lines.map((line) => JSON.parse(line) as Record<string, unknown>) };
}

/** Names of the journal's documents, by the beginning. */
const documents = async (data: string, beginning: string): Promise<readonly string[]> =>
  (await readdir(join(data, "journal"))).filter((name) => name.startsWith(beginning)).toSorted();

async function until(what: string, holds: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 40_000;
  while (!(await holds())) {
    if (Date.now() > deadline) throw new Error(`${what} did not come to pass`);
    await Bun.sleep(50);
  }
}

async function tagsOf(registry: Registry): Promise<readonly string[]> {
  const list = await registry.send("GET", `/v2/${repository}/tags/list`);
  return list.status === 200 ? (list.json() as { tags: readonly string[] }).tags : [];
}

/** Each tag's image with all its blobs. */
async function expectWhole(registry: Registry, tags: readonly string[]): Promise<void> {
  expect(await tagsOf(registry)).toEqual(tags);
  for (const tag of tags) {
    const manifest = await registry.send("GET", `/v2/${repository}/manifests/${tag}`);
    const { config, layers } = manifest.json() as { config: { digest: string }; layers: { digest: string }[] };
    for (const { digest } of [config, ...layers]) {
      expect((await registry.send("HEAD", `/v2/${repository}/blobs/${digest}`)).status).toBe(200);
    }
  }
}

describe("berth rebuild", () => {
  let folder = "";
  /** A data folder whose database is gone: three images, each in a segment of its own, and a snapshot from before. */
  let lost = "";
  let segments: readonly string[] = [];
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "berth-rebuild-"));
    lost = join(folder, "lost");
    // Written when it is asked for: each image is in one segment.
    const server = await startServer({ data: lost, env: { BERTH_JOURNAL_INTERVAL_SECONDS: "3600" } });
    const write = () => Bun.spawnSync([berth, "jobs", "run", "journal", "--data", lost]);
    await until("the first run", async () => write().success);
    await until("a snapshot", async () => (await documents(lost, "snapshot-")).some((one) => one.endsWith("-index")));
    for (const tag of ["v1", "v2", "v3"]) {
      const before = await documents(lost, "segment-");
      await pushImage(registryOf(server), repository, { tag });
      const asked = write();
      expect([asked.exitCode, asked.stderr.toString()]).toEqual([0, ""]);
      await until("a segment", async () => (await documents(lost, "segment-")).length > before.length);
    }
    await server.stop();
    segments = await documents(lost, "segment-");
    for (const file of databaseFiles) await rm(join(lost, file), { force: true });
  }, 120_000);
  afterAll(() => rm(folder, { recursive: true, force: true }));

  const copy = async (): Promise<string> => {
    const data = await mkdtemp(join(folder, "copy-"));
    await cp(lost, data, { recursive: true });
    return data;
  };

  test("brings back what was pushed; until then no server starts", async () => {
    const data = await copy();
    const refused = Bun.spawnSync([berth, "serve", "--addr", "127.0.0.1:0", "--data", data]);
    expect([refused.exitCode, refused.stderr.toString()]).toEqual([2, expect.stringContaining("berth rebuild")]);
    for (const file of databaseFiles) await rm(join(data, file), { force: true });
    const { exitCode, findings } = await runRebuild(data);
    expect({ exitCode, findings }).toMatchObject({ exitCode: 0, findings: [{ kind: "rebuilt", findings: 0 }] });
    await using server = await startServer({ data });
    await expectWhole(registryOf(server), ["v1", "v2", "v3"]);
    const running = await runRebuild(data, "--replace");
    expect([running.exitCode, running.errors]).toEqual([2, expect.stringContaining("stop it")]);
    // It goes on: a new epoch, whose snapshot has everything.
    await pushImage(registryOf(server), repository, { tag: "v4" });
    await until("the next epoch", async () => (await documents(data, "snapshot-000002")).length > 0);
    await server.stop();
    const again = await runRebuild(data);
    expect([again.exitCode, again.errors]).toEqual([2, expect.stringContaining("--replace")]);
    expect((await runRebuild(data, "--replace")).exitCode).toBe(0);
    await using last = await startServer({ data });
    await expectWhole(registryOf(last), ["v1", "v2", "v3", "v4"]);
  }, 120_000);

  test("names a segment that is torn, and takes nothing from behind it", async () => {
    const data = await copy();
    const [, damaged = "", behind = ""] = segments;
    await truncate(join(data, "journal", damaged), 300);
    const { exitCode, findings } = await runRebuild(data, "--no-verify");
    expect(findings).toMatchObject([
      { kind: "damaged-document", document: damaged, reason: expect.stringContaining("is torn") },
      { kind: "unused-document", document: behind },
      { kind: "rebuilt", findings: 2 },
    ]);
    expect(exitCode).toBe(1);
    const database = new Database(join(data, "berth.sqlite"), { readonly: true });
    expect(database.query("select name from tags order by name").values().flat()).toEqual(["v1"]);
    database.close();
  }, 60_000);

  test("names blobs whose bytes are gone, or are not as many as were pushed", async () => {
    const data = await copy();
    const [shard = "", other = ""] = (await readdir(join(data, "blobs"), { recursive: true })).filter((path) =>
      path.includes("/"),
    );
    await rm(join(data, "blobs", shard));
    await truncate(join(data, "blobs", other), 1);
    const { exitCode, findings } = await runRebuild(data);
    expect(exitCode).toBe(1);
    expect(findings.map(({ kind }) => kind)).toEqual(
      expect.arrayContaining(["missing-bytes", "wrong-size", "rebuilt"]),
    );
  }, 60_000);

  test("makes nothing of a journal without a whole snapshot, and says which is not", async () => {
    const data = await copy();
    const [index = ""] = (await documents(data, "snapshot-")).filter((one) => one.endsWith("-index"));
    await truncate(join(data, "journal", index), 100);
    const { exitCode, findings, errors } = await runRebuild(data);
    expect(findings).toContainEqual(expect.objectContaining({ kind: "damaged-document", document: index }));
    expect([exitCode, errors]).toEqual([2, expect.stringContaining("no whole snapshot")]);
  }, 60_000);
});
