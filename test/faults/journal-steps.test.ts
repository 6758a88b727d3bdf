import { expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { journalOf, tablesOf, writerOf } from "../support/journal.ts";
import { imageOf, push, repositoryName, storeBlob, testRegistry } from "../support/registry.ts";
import type { DocumentStore } from "../../src/platform/blobs/document-store.ts";
import { memoryBlobStore } from "../../src/platform/blobs/memory/memory-blob-store.ts";
import type { Database } from "../../src/platform/database/database.ts";
import { migrate } from "../../src/platform/database/migrations.ts";
import { openDatabase } from "../../src/platform/database/open-database.ts";
import { jobMigrations } from "../../src/platform/jobs/migrations.ts";
import { registryMigrations } from "../../src/registry/migrations.ts";
import type { Registry } from "../../src/registry/registry.ts";
import type { Journal } from "../../src/features/journal/journal.ts";
import { readState } from "../../src/features/journal/journal-state.ts";
import { journalMigrations } from "../../src/features/journal/migrations.ts";
import { rebuild } from "../../src/features/journal/rebuild.ts";

const app = repositoryName("team/app");

/** A process that is killed at its nth step that others can see: before it is done, or right behind it. */
function killedAt(
  journal: Journal,
  step: number,
  when: "before" | "behind",
): { readonly journal: Journal; steps(): number } {
  let steps = 0;
  const dies = async <T>(work: () => Promise<T>): Promise<T> => {
    steps += 1;
    if (steps > step || (steps === step && when === "before")) throw new Error("killed");
    const result = await work();
    if (steps === step) throw new Error("killed");
    return result;
  };
  const { documents, database } = journal;
  const dying: DocumentStore = {
    ...documents,
    create: (name, bytes) => dies(() => documents.create(name, bytes)),
    delete: (names) => dies(() => documents.delete(names)),
  };
  const write: Database["write"] = (work) => dies(() => database.write(work));
  return { journal: { ...journal, documents: dying, database: { ...database, write } }, steps: () => steps };
}

async function openAt(folder: string, blobs: Registry["blobs"]): Promise<Registry> {
  const name = `${crypto.randomUUID()}.sqlite`;
  const database = await openDatabase({ url: `sqlite:${join(folder, name)}` });
  await migrate(database, [jobMigrations, registryMigrations, journalMigrations]);
  return testRegistry(database, { blobs });
}

async function pushImage(registry: Registry, tag: string): Promise<void> {
  const config = await storeBlob(registry, app, `config of ${tag}`);
  await push(registry, app, { of: imageOf([config]), tags: [tag] });
}

/** The tables as the journal has them, and nothing that a rebuild had to complain of. */
async function expectSame(registry: Registry, folder: string): Promise<void> {
  const anew = await openAt(folder, registry.blobs);
  expect(await rebuild(anew, { replace: false, onProgress: () => undefined })).toMatchObject({
    kind: "rebuilt",
    findings: [],
  });
  expect(await tablesOf(anew)).toEqual(await tablesOf(registry));
  await anew.database.close();
}

for (const when of ["before", "behind"] as const) {
  test(`killed ${when} any step of writing segments, snapshots and of removing old ones, the journal goes on whole`, async () => {
    const folder = await mkdtemp(join(tmpdir(), "berth-killed-"));
    try {
      const registry = await openAt(folder, memoryBlobStore());
      const journal = journalOf(registry);
      await writerOf(journal).snapshot();
      for (let step = 1; ; step++) {
        expect(step).toBeLessThan(100);
        await pushImage(registry, `v${String(step % 3)}`);
        const dying = killedAt(journal, step, when);
        const writer = writerOf(dying.journal);
        // The last of them has old documents to remove.
        const [outcome] = await Promise.allSettled([writer.snapshot().then(() => writer.snapshot())]);
        await pushImage(registry, "behind");
        await writerOf(journal).write();
        if (step < 10 || step % 2 === 0) await expectSame(registry, folder);
        if (outcome.status === "fulfilled") {
          expect(dying.steps()).toBeLessThan(step);
          break;
        }
        if (step % 3 === 0) await writerOf(journal).snapshot();
      }
      // Not one of these deaths broke the journal off.
      expect((await readState(registry.database.read))?.epoch).toBe(1);
      await registry.database.close();
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  }, 60_000);
}
