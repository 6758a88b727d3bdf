import { expect, test } from "bun:test";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { jobMigrations } from "../../src/platform/jobs/migrations.ts";
import { journalMigrations } from "../../src/features/journal/migrations.ts";
import { rebuild } from "../../src/features/journal/rebuild.ts";
import { openFilesystemBlobStore } from "../../src/platform/blobs/filesystem/filesystem-blob-store.ts";
import { migrate } from "../../src/platform/database/migrations.ts";
import { openDatabase } from "../../src/platform/database/open-database.ts";
import { registryMigrations } from "../../src/registry/migrations.ts";
import type { Registry } from "../../src/registry/registry.ts";
import { pushImage } from "../protocol/content.ts";
import { registryOf } from "../protocol/registry-client.ts";
import { journalOf, tablesOf, writerOf } from "../support/journal.ts";
import { testRegistry } from "../support/registry.ts";
import { requirement } from "../support/requirement.ts";
import type { TestServer } from "../support/server.ts";
import { missingForFaults, startFaulty } from "./shim/faulty-server.ts";
import { emptyDisk, type Survives } from "./trace/disk-model.ts";
import type { DiskEvent } from "./trace/parse-trace.ts";
import { missingStrace, startTraced } from "./trace/traced-server.ts";

const repository = "acme/journal";
const eager = { BERTH_JOURNAL_INTERVAL_SECONDS: "1" };

async function until(what: string, holds: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 60_000;
  while (!(await holds())) {
    if (Date.now() > deadline) throw new Error(`${what} did not come to pass`);
    await Bun.sleep(100);
  }
}

const documents = async (data: string, beginning: string): Promise<readonly string[]> =>
  (await readdir(join(data, "journal"))).filter((name) => name.startsWith(beginning));

const hasSnapshot = async (data: string): Promise<boolean> =>
  (await documents(data, "snapshot-")).some((name) => name.endsWith("-index"));

async function metric({ url }: TestServer, name: string): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text();
  return Number(new RegExp(`^${name} (\\S+)$`, "m").exec(text)?.[1] ?? Number.NaN);
}

/** The registry of a data folder, without a server; its database under a name of its own where it is to be made anew. */
async function openAt(data: string, name = "berth.sqlite"): Promise<Registry> {
  const database = await openDatabase({ url: `sqlite:${join(data, name)}` });
  await migrate(database, [jobMigrations, registryMigrations, journalMigrations]);
  return testRegistry(database, { blobs: await openFilesystemBlobStore(data) });
}

async function expectSame(registry: Registry, data: string): Promise<void> {
  const anew = await openAt(data, "anew.sqlite");
  expect(await rebuild(anew, { replace: false, onProgress: () => undefined })).toMatchObject({
    kind: "rebuilt",
    findings: [],
  });
  expect(await tablesOf(anew)).toEqual(await tablesOf(registry));
  await anew.database.close();
}

/** Where a loss of power finds another disk than before. */
const cutsOf = (folder: string, events: readonly DiskEvent[]): readonly number[] => {
  const disk = emptyDisk(folder);
  const cuts = new Map<number, number>();
  for (const [at, event] of events.entries()) {
    disk.play(event);
    cuts.set(disk.version(), at + 1);
  }
  return [...cuts.values()];
};

requirement("the journal and a loss of power", missingStrace(), () => {
  test("wherever it comes, the journal goes on from there and makes the same tables", async () => {
    await using traced = await startTraced({ env: eager });
    const { data } = traced.server;
    await until("a snapshot", () => hasSnapshot(data));
    for (const tag of ["v1", "v2"]) {
      const before = (await documents(data, "segment-")).length;
      await pushImage(registryOf(traced.server), repository, { tag });
      await until("a segment", async () => (await documents(data, "segment-")).length > before);
    }
    const events = await traced.events();
    const writes = events.findIndex((event) => "path" in event && event.path.includes("/journal/.drafts/"));
    const cuts = cutsOf(traced.folder, events).filter((cut) => cut > writes);
    expect(cuts.length).toBeGreaterThan(10);
    const step = Math.max(1, Math.floor(cuts.length / 8));
    for (const [at, cut] of cuts.entries()) {
      if (at % step !== 0 && at !== cuts.length - 1) continue;
      const survives: Survives = at % 3 === 0 ? "nothing" : at % 3 === 1 ? "names" : { seed: at };
      const disk = emptyDisk(traced.folder);
      for (const event of events.slice(0, cut)) disk.play(event);
      const image = await mkdtemp(join(tmpdir(), "berth-journal-"));
      try {
        await disk.writeImage(image, survives);
        const left = join(image, "parent", "data");
        const registry = await openAt(left);
        await writerOf(journalOf(registry)).snapshot();
        await expectSame(registry, left);
        await registry.database.close();
      } finally {
        await rm(image, { recursive: true, force: true });
      }
    }
  }, 240_000);
});

requirement("the journal and a full disk", missingForFaults(), () => {
  test("pushes go on where it cannot be written; how far it is behind is told, and it catches up by itself", async () => {
    await using faulty = await startFaulty({ env: eager });
    const { server } = faulty;
    const registry = registryOf(server);
    await until("a snapshot", () => hasSnapshot(server.data));
    await pushImage(registry, repository, { tag: "before" });
    await until("the journal", async () => (await metric(server, "berth_journal_pending_changes")) === 0);
    const before = await documents(server.data, "segment-");
    await faulty.arm({ call: 1, error: "ENOSPC", lasts: "on", files: "journal/" });
    await pushImage(registry, repository, { tag: "full" });
    await until("a failed job", async () => (await metric(server, "berth_task_failing")) > 0);
    await pushImage(registry, repository, { tag: "still-full" });
    expect(await metric(server, "berth_journal_pending_changes")).toBeGreaterThan(0);
    expect(await metric(server, "berth_journal_lag_seconds")).toBeGreaterThan(0);
    expect((await registry.send("GET", "/readyz")).status).toBe(200);
    expect(await documents(server.data, "segment-")).toEqual(before);
    expect(await readdir(join(server.data, "journal", ".drafts"))).toEqual([]);
    expect((await faulty.disarm()).failed).toBeGreaterThan(0);
    await until("the journal", async () => (await metric(server, "berth_journal_pending_changes")) === 0);
    await server.stop();
    const left = await openAt(server.data);
    await expectSame(left, server.data);
    await left.database.close();
  }, 180_000);
});
