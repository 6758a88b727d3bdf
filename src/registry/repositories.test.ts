import { server } from "../platform/events/access-event.ts";
import { expect, it } from "bun:test";
import { describeEachDatabase } from "../../test/support/databases.ts";
import { digestOf, problemsOf, repositoryName, testRegistry } from "../../test/support/registry.ts";
import { writeEvents } from "../platform/events/record-events.ts";
import { registryMigrations } from "./migrations.ts";
import type { Registry } from "./registry.ts";
import { ensureRepository, listRepositories, type Page, type PageRequest, type Visible } from "./repositories.ts";
import { listTags } from "./tags.ts";

const app = repositoryName("team/app");
const other = repositoryName("team/other");
const everything: Visible = [(expression) => expression.lit(true)];
const nothing: Visible = [(expression) => expression.lit(false)];
const teams: Visible = [(expression) => expression("repositories.name", "like", "team/%")];

/** Follows the pages of a list to its end. */
async function readAll(
  list: (request: PageRequest) => Promise<Page<string>>,
  limit: number,
  onPage: (last: string) => Promise<void> = async () => {},
): Promise<string[]> {
  const seen: string[] = [];
  for (;;) {
    const { items, isLast } = await list({ after: seen.at(-1), limit });
    expect(items.length).toBeLessThanOrEqual(limit);
    seen.push(...items);
    if (isLast) return seen;
    await onPage(seen.at(-1) ?? "");
  }
}

async function addTags(registry: Registry, repository: typeof app, names: readonly string[]): Promise<void> {
  await writeEvents(
    registry.database,
    async (tx) => {
      const repository_id = await ensureRepository(registry, tx, repository);
      const rows = names.map((name) => ({ repository_id, name, digest: digestOf("x"), created_at: 1, updated_at: 1 }));
      if (rows.length > 0) await tx.insertInto("tags").values(rows).execute();
    },
    server,
  );
}

async function addRepositories({ database }: Registry, names: readonly string[]): Promise<void> {
  const rows = names.map((name) => ({ name, created_at: 1 }));
  await database.write((tx) => tx.insertInto("repositories").values(rows).execute());
}

/** Whose order differs between bytes, dictionaries and numbers. */
const oddTags = ["1", "10", "2", "A", "B", "_x", "a", "a-b", "a.b", "a0", "aA", "b", "Z", "latest", "v1.10", "v1.9"];
const inByteOrder = (names: readonly string[]): string[] =>
  names.toSorted((one, two) => Buffer.compare(Buffer.from(one), Buffer.from(two)));

describeEachDatabase("the tags of a repository", (_dialect, open) => {
  const start = async (): Promise<Registry> => testRegistry(await open([registryMigrations]));

  it("come in the order of their bytes, each once, on pages of any size", async () => {
    const registry = await start();
    await addTags(registry, app, oddTags);
    await addTags(registry, other, ["foreign"]);
    for (const limit of [1, 2, 5, 16, 17]) {
      expect(await readAll((request) => listTags(registry, app, request), limit)).toEqual(inByteOrder(oddTags));
    }
    expect(await listTags(registry, app, { after: undefined, limit: 16 })).toMatchObject({ isLast: true });
    expect(await listTags(registry, app, { after: undefined, limit: 15 })).toMatchObject({ isLast: false });
  });

  it("go on after a name that need not be there", async () => {
    const registry = await start();
    await addTags(registry, app, ["a", "c", "e"]);
    const after = async (name: string) => (await listTags(registry, app, { after: name, limit: 10 })).items;
    expect([await after("b"), await after("c"), await after("zz"), await after("B")]).toEqual([
      ["c", "e"],
      ["e"],
      [],
      ["a", "c", "e"],
    ]);
  });

  it("each come once while others are made and removed", async () => {
    const registry = await start();
    const stable = Array.from({ length: 12 }, (_, number) => `m${String(number).padStart(2, "0")}`);
    await addTags(registry, app, stable);
    const seen = await readAll(
      (request) => listTags(registry, app, request),
      2,
      async (last) => {
        await addTags(registry, app, [`a-${last}`, `${last}-x`]);
        await registry.database.write((tx) => tx.deleteFrom("tags").where("name", "=", `a-${last}`).execute());
      },
    );
    expect(seen.length).toBe(new Set(seen).size);
    expect(seen.filter((name) => stable.includes(name))).toEqual(stable);
  });

  it("are none on a page of none, and none of a repository without any", async () => {
    const registry = await start();
    await addTags(registry, app, ["a"]);
    await addTags(registry, other, []);
    expect(await listTags(registry, app, { after: undefined, limit: 0 })).toEqual({ items: [], isLast: false });
    expect(await listTags(registry, other, { after: undefined, limit: 10 })).toEqual({ items: [], isLast: true });
  });

  it("of no repository are a refusal", async () => {
    const registry = await start();
    expect(await problemsOf(listTags(registry, app, { after: undefined, limit: 10 }))).toEqual([
      { code: "NAME_UNKNOWN", name: app },
    ]);
  });
});

describeEachDatabase("the catalog", (_dialect, open) => {
  const names = ["a", "a-b", "a/b", "a0", "ab", "b/a", "team/app", "team/app-2", "team/other", "z"];

  it("shows what is visible alone, in the order of bytes, on pages of any size", async () => {
    const registry = testRegistry(await open([registryMigrations]));
    await addRepositories(registry, names.toReversed());
    for (const limit of [1, 3, 10]) {
      expect(await readAll((request) => listRepositories(registry, everything, request), limit)).toEqual(
        inByteOrder(names),
      );
      expect(await readAll((request) => listRepositories(registry, teams, request), limit)).toEqual(names.slice(6, 9));
    }
    expect(await listRepositories(registry, nothing, { after: undefined, limit: 5 })).toEqual({
      items: [],
      isLast: true,
    });
  });

  it("shows each once while others are made", async () => {
    const registry = testRegistry(await open([registryMigrations]));
    await addRepositories(registry, names);
    const seen = await readAll(
      (request) => listRepositories(registry, everything, request),
      3,
      async (last) => addRepositories(registry, [`0-${last.replace("/", "-")}`, `${last}x`]),
    );
    expect(seen.length).toBe(new Set(seen).size);
    expect(seen.filter((name) => names.includes(name))).toEqual(inByteOrder(names));
  });
});

describeEachDatabase("a repository", (_dialect, open) => {
  it("is made once by all who first push to it at the same moment", async () => {
    const registry = testRegistry(await open([registryMigrations]));
    const { database } = registry;
    const ids = await Promise.all(
      Array.from({ length: 20 }, () => writeEvents(database, (tx) => ensureRepository(registry, tx, app), server)),
    );
    expect(new Set(ids).size).toBe(1);
    expect((await database.read.selectFrom("repositories").select("name").execute()).length).toBe(1);
  });
});
