import { expect, it } from "bun:test";
import { describeEachDatabase } from "../../test/support/databases.ts";
import {
  codesOf,
  countRows,
  imageOf,
  problemsOf,
  push,
  repositoryName,
  storeBlob,
  tagName,
  tagsOf,
  testRegistry,
} from "../../test/support/registry.ts";
import { findBlob } from "./blobs.ts";
import { deleteManifest, deleteTag } from "./delete-manifest.ts";
import { findManifest } from "./manifests.ts";
import { registryMigrations } from "./migrations.ts";
import type { TagChange, WriteRule } from "./ports.ts";
import type { Registry } from "./registry.ts";

const app = repositoryName("team/app");
const other = repositoryName("team/other");

/** Notes what it is asked, and what the tag names at that moment in the transaction. */
function notingRule(refused: ReadonlySet<string>) {
  const asked: (TagChange & { readonly now: string | undefined })[] = [];
  const rule: WriteRule = {
    async refusesTag(tx, change) {
      const row = await tx.selectFrom("tags").select("digest").where("name", "=", change.tag).executeTakeFirst();
      asked.push({ ...change, now: row?.digest });
      return refused.has(change.tag) ? { code: "TAG_REFUSED", tag: change.tag, reason: "protected" } : undefined;
    },
  };
  return { rule, asked };
}

describeEachDatabase("a write rule", (_dialect, open) => {
  async function start(...refused: readonly string[]) {
    const protectedTags = new Set<string>();
    const { rule, asked } = notingRule(protectedTags);
    const registry = testRegistry(await open([registryMigrations]), { writeRules: [rule] });
    const config = await storeBlob(registry, app, "config");
    const images = [imageOf([config]), imageOf([config], { annotations: { build: "2" } })] as const;
    const protect = (): void => refused.forEach((tag) => protectedTags.add(tag));
    return { registry, images, asked, protect };
  }

  it("is asked of every tag that is made, moved or removed, when that has just happened", async () => {
    const { registry, images, asked } = await start();
    const [one, two] = images;
    const change = { repository: app, tag: tagName("v1") };
    await push(registry, app, { of: one, tags: ["v1"] });
    await push(registry, app, { of: one, tags: ["v1"] });
    await push(registry, app, { of: two, tags: ["v1"] });
    await deleteTag(registry, app, tagName("v1"));
    await push(registry, app, { of: one, tags: ["v1"] });
    await deleteManifest(registry, app, one.digest);
    expect(asked).toEqual([
      { ...change, from: undefined, to: one.digest, now: one.digest },
      { ...change, from: one.digest, to: two.digest, now: two.digest },
      { ...change, from: two.digest, to: undefined, now: undefined },
      { ...change, from: undefined, to: one.digest, now: one.digest },
      { ...change, from: one.digest, to: undefined, now: undefined },
    ]);
  });

  it("undoes the whole push with its problem", async () => {
    const { registry, images, protect } = await start("m");
    protect();
    expect(await problemsOf(push(registry, app, { of: images[0], tags: ["a", "m", "z"] }))).toEqual([
      { code: "TAG_REFUSED", tag: tagName("m"), reason: "protected" },
    ]);
    expect(await countRows(registry)).toMatchObject({ tags: 0, manifests: 0, repository_manifests: 0, edges: 0 });
  });

  it("that keeps one tag keeps the manifest with all its tags", async () => {
    const { registry, images, protect } = await start("m");
    const [one] = images;
    await push(registry, app, { of: one, tags: ["a", "m", "z"] });
    protect();
    const before = await countRows(registry);
    expect(await codesOf(deleteManifest(registry, app, one.digest))).toEqual(["TAG_REFUSED"]);
    expect(await codesOf(deleteTag(registry, app, tagName("m")))).toEqual(["TAG_REFUSED"]);
    expect(await tagsOf(registry, app)).toEqual({ a: one.digest, m: one.digest, z: one.digest });
    expect(await countRows(registry)).toEqual(before);
    await deleteTag(registry, app, tagName("a"));
    expect(Object.keys(await tagsOf(registry, app))).toEqual(["m", "z"]);
  });

  it("is not asked behind one that refused", async () => {
    const first = notingRule(new Set(["v1"]));
    const second = notingRule(new Set());
    const registry: Registry = testRegistry(await open([registryMigrations]), {
      writeRules: [first.rule, second.rule],
    });
    const of = imageOf([await storeBlob(registry, app, "config")]);
    expect(await codesOf(push(registry, app, { of, tags: ["v1"] }))).toEqual(["TAG_REFUSED"]);
    expect([first.asked.length, second.asked.length]).toEqual([1, 0]);
  });
});

describeEachDatabase("a read gate", (_dialect, open) => {
  it("shuts manifests, by tag and by digest, and blobs, in the one repository that it names", async () => {
    const refused = new Set<string>();
    const registry = testRegistry(await open([registryMigrations]), {
      readGates: [
        { refuses: () => undefined },
        {
          refuses: (repository, digest) =>
            refused.has(`${repository}@${digest}`) ? { code: "DENIED", rule: "not scanned" } : undefined,
        },
      ],
    });
    const blob = await storeBlob(registry, app, "config");
    await storeBlob(registry, other, "config");
    const of = imageOf([blob]);
    for (const repository of [app, other]) await push(registry, repository, { of, tags: ["v1"] });
    const readAll = async (repository: typeof app) => [
      await codesOf(findManifest(registry, repository, { kind: "tag", tag: tagName("v1") })),
      await codesOf(findManifest(registry, repository, { kind: "digest", digest: of.digest })),
      await codesOf(findBlob(registry, repository, blob)),
    ];
    refused.add(`${app}@${of.digest}`);
    expect(await readAll(app)).toEqual([["DENIED"], ["DENIED"], []]);
    refused.add(`${app}@${blob}`);
    expect(await readAll(app)).toEqual([["DENIED"], ["DENIED"], ["DENIED"]]);
    expect(await readAll(other)).toEqual([[], [], []]);
  });

  it("says nothing of what is not there", async () => {
    const registry = testRegistry(await open([registryMigrations]), {
      readGates: [{ refuses: () => ({ code: "DENIED", rule: "everything" }) }],
    });
    const blob = await storeBlob(registry, other, "config");
    expect(await codesOf(findBlob(registry, app, blob))).toEqual(["BLOB_UNKNOWN"]);
    expect(await codesOf(findManifest(registry, app, { kind: "digest", digest: blob }))).toEqual(["NAME_UNKNOWN"]);
    expect(await codesOf(findManifest(registry, other, { kind: "digest", digest: blob }))).toEqual([
      "MANIFEST_UNKNOWN",
    ]);
  });
});
