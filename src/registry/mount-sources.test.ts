import { expect, it } from "bun:test";
import { describeEachDatabase } from "../../test/support/databases.ts";
import { repositoryName, storeBlob, testRegistry } from "../../test/support/registry.ts";
import { deleteBlob } from "./blobs.ts";
import { registryMigrations } from "./migrations.ts";
import { findMountSources } from "./mount-sources.ts";
import type { Registry } from "./registry.ts";
import type { Visible } from "./repositories.ts";

const everything: Visible = [(expression) => expression.lit(true)];
const notSecret: Visible = [(expression) => expression("repositories.name", "not like", "secret/%")];

describeEachDatabase("the repositories that a blob may be mounted from", (_dialect, open) => {
  async function start(names: readonly string[]) {
    const registry: Registry = testRegistry(await open([registryMigrations]));
    for (const name of names) await storeBlob(registry, repositoryName(name), "bytes");
    const digest = await storeBlob(registry, repositoryName("zz/last"), "bytes");
    await storeBlob(registry, repositoryName("team/without"), "other bytes");
    const sourcesFor = (name: string, visible: Visible = everything): Promise<readonly string[]> =>
      findMountSources(registry, visible, { repository: repositoryName(name), digest });
    return { registry, digest, sourcesFor };
  }

  it("are those of its own namespace first, then the others by name", async () => {
    const { sourcesFor } = await start(["a/x", "team/app", "team/b/c", "teams/x", "root", "zroot"]);
    expect(await sourcesFor("team/new")).toEqual([
      "team/app",
      "team/b/c",
      "a/x",
      "root",
      "teams/x",
      "zroot",
      "zz/last",
    ]);
    expect(await sourcesFor("zz/new")).toEqual(["zz/last", "a/x", "root", "team/app", "team/b/c", "teams/x", "zroot"]);
    expect(await sourcesFor("unknown/new")).toEqual([
      "a/x",
      "root",
      "team/app",
      "team/b/c",
      "teams/x",
      "zroot",
      "zz/last",
    ]);
  });

  it("are those of the root namespace first for a name without a slash", async () => {
    const { sourcesFor } = await start(["a/x", "root", "zroot"]);
    expect(await sourcesFor("new")).toEqual(["root", "zroot", "a/x", "zz/last"]);
  });

  it("are those alone that the caller may read and that have it now", async () => {
    const { registry, digest, sourcesFor } = await start(["a/x", "a/y", "secret/x"]);
    expect(await sourcesFor("a/new", notSecret)).toEqual(["a/x", "a/y", "zz/last"]);
    await deleteBlob(registry, repositoryName("a/x"), digest);
    expect(await sourcesFor("a/new", notSecret)).toEqual(["a/y", "zz/last"]);
    expect(await sourcesFor("a/new", [(expression) => expression.lit(false)])).toEqual([]);
  });

  it("are at most 32, the own ones among them", async () => {
    const many = Array.from({ length: 40 }, (_, number) => `many/app${number}`);
    const { sourcesFor } = await start(many);
    const sources = await sourcesFor("zz/new");
    expect([sources.length, sources[0]]).toEqual([32, "zz/last"]);
  });
});
