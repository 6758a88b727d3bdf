import { Database } from "bun:sqlite";
import { expect, test } from "bun:test";
import { readdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { killRounds } from "./load/kill-rounds.ts";

/** CI gives it three minutes; anyone else has 40 rounds. */
const seconds = Number(process.env["BERTH_TEST_KILL_SECONDS"] ?? 0);

test("kill -9 at random moments of a mixed load loses nothing that was acknowledged", async () => {
  const outcome = await killRounds({ rounds: 40, seconds });
  expect(outcome.problems).toEqual([]);
  expect(outcome.rounds).toBeGreaterThanOrEqual(40);
  // The kills came in the middle of things, and every kind of change was among them.
  expect(outcome.cutOff).toBeGreaterThan(20);
  expect(outcome.cutStarts).toBeGreaterThan(0);
  const kinds = "begin patch push image attach tag tags mount untag delete remove cancel".split(" ");
  expect(kinds.filter((kind) => (outcome.acknowledged.get(kind) ?? 0) === 0)).toEqual([]);
}, 600_000);

const damages: Readonly<Record<string, (data: string) => Promise<void>>> = {
  "a blob's bytes are gone": async (data) => {
    for (const file of await blobFiles(data)) await rm(file);
  },
  "a blob's bytes are others": async (data) => {
    for (const file of await blobFiles(data)) await writeFile(file, "other bytes");
  },
  "manifests are gone": (data) => change(data, "delete from repository_manifests"),
  "rows of blobs are gone": (data) => change(data, "delete from repository_blobs"),
};

for (const [what, damage] of Object.entries(damages)) {
  test(`it would be seen that ${what}`, async () => {
    const { problems } = await killRounds({ rounds: 20, seconds: 0, damage });
    expect(problems).not.toEqual([]);
  }, 180_000);
}

async function blobFiles(data: string): Promise<readonly string[]> {
  const entries = await readdir(join(data, "blobs"), { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
}

async function change(data: string, statement: string): Promise<void> {
  const database = new Database(join(data, "berth.sqlite"));
  database.run(statement);
  database.close();
}
