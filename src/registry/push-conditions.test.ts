import { expect, it } from "bun:test";
import { describeEachDatabase } from "../../test/support/databases.ts";
import {
  codesOf,
  imageOf,
  problemsOf,
  push,
  repositoryName,
  storeBlob,
  tagsOf,
  testRegistry,
} from "../../test/support/registry.ts";
import { registryMigrations } from "./migrations.ts";
import type { Registry } from "./registry.ts";

const app = repositoryName("team/app");
const pushers = 20;

/** Which of the calls had no problem. */
const won = (codes: readonly (readonly string[])[]): number[] =>
  codes.flatMap((problems, index) => (problems.length === 0 ? [index] : []));

describeEachDatabase("pushing a manifest under a condition", (_dialect, open) => {
  /** A registry, and as many images of one blob as are asked for. */
  async function start(count: number) {
    const registry: Registry = testRegistry(await open([registryMigrations]));
    const config = await storeBlob(registry, app, "config");
    const images = Array.from({ length: count }, (_, number) =>
      imageOf([config], { annotations: { number: String(number) } }),
    );
    return { registry, images };
  }

  it("is-absent: of twenty at once exactly one wins, and the others leave nothing", async () => {
    const { registry, images } = await start(pushers);
    const codes = await Promise.all(
      images.map((of) => codesOf(push(registry, app, { of, tags: ["v1"], condition: { kind: "is-absent" } }))),
    );
    const [winner = -1, ...more] = won(codes);
    expect(more).toEqual([]);
    expect(codes.toSpliced(winner, 1)).toEqual(Array.from({ length: pushers - 1 }, () => ["PRECONDITION_FAILED"]));
    expect(await tagsOf(registry, app)).toEqual({ v1: images[winner]?.digest ?? "" });
    const stored = await registry.database.read.selectFrom("repository_manifests").select("digest").execute();
    expect(stored).toEqual([{ digest: images[winner]?.digest ?? "" }]);
  });

  it("is-one-of: of twenty that move the tag from the same digest exactly one wins", async () => {
    const { registry, images } = await start(pushers + 1);
    const [first, ...next] = images;
    if (first === undefined) throw new Error("no image");
    await push(registry, app, { of: first, tags: ["v1"] });
    const condition = { kind: "is-one-of", digests: ["sha256:other", first.digest] } as const;
    const codes = await Promise.all(next.map((of) => codesOf(push(registry, app, { of, tags: ["v1"], condition }))));
    const [winner = -1, ...more] = won(codes);
    expect(more).toEqual([]);
    expect(codes.flat()).toEqual(Array.from({ length: pushers - 1 }, () => "PRECONDITION_FAILED"));
    expect(await tagsOf(registry, app)).toEqual({ v1: next[winner]?.digest ?? "" });
  });

  it("exists: fails where the tag is not, and holds for all twenty where it is", async () => {
    const { registry, images } = await start(pushers);
    const pushAll = () =>
      Promise.all(
        images.map((of) => codesOf(push(registry, app, { of, tags: ["v1"], condition: { kind: "exists" } }))),
      );
    expect((await pushAll()).flat()).toEqual(Array.from({ length: pushers }, () => "PRECONDITION_FAILED"));
    expect(await tagsOf(registry, app)).toEqual({});
    const [first] = images;
    if (first === undefined) throw new Error("no image");
    await push(registry, app, { of: first, tags: ["v1"] });
    expect((await pushAll()).flat()).toEqual([]);
  });

  it("says what the tag names now", async () => {
    const { registry, images } = await start(2);
    const [one, two] = images;
    if (one === undefined || two === undefined) throw new Error("two images");
    await push(registry, app, { of: one, tags: ["v1"] });
    expect(await problemsOf(push(registry, app, { of: two, tags: ["v1"], condition: { kind: "is-absent" } }))).toEqual([
      { code: "PRECONDITION_FAILED", current: one.digest },
    ]);
  });

  it("holds for every tag of a push, or for none", async () => {
    const { registry, images } = await start(2);
    const [one, two] = images;
    if (one === undefined || two === undefined) throw new Error("two images");
    await push(registry, app, { of: one, tags: ["m"] });
    const tags = ["a", "m", "z"];
    expect(await codesOf(push(registry, app, { of: two, tags, condition: { kind: "is-absent" } }))).toEqual([
      "PRECONDITION_FAILED",
    ]);
    expect(await tagsOf(registry, app)).toEqual({ m: one.digest });
  });

  it("is about the manifest itself where there is no tag", async () => {
    const { registry, images } = await start(1);
    const [of] = images;
    if (of === undefined) throw new Error("one image");
    expect(await codesOf(push(registry, app, { of, condition: { kind: "exists" } }))).toEqual(["PRECONDITION_FAILED"]);
    expect(await codesOf(push(registry, app, { of, condition: { kind: "is-absent" } }))).toEqual([]);
    expect(await codesOf(push(registry, app, { of, condition: { kind: "is-absent" } }))).toEqual([
      "PRECONDITION_FAILED",
    ]);
    expect(await codesOf(push(registry, app, { of, condition: { kind: "is-one-of", digests: [of.digest] } }))).toEqual(
      [],
    );
  });

  it("without one, every tag of pushes that cross is moved whole", async () => {
    const { registry, images } = await start(pushers);
    const tags = ["a", "b", "c", "d"];
    await Promise.all(
      images.map((of, index) => push(registry, app, { of, tags: index % 2 === 0 ? tags : tags.toReversed() })),
    );
    const named = await tagsOf(registry, app);
    expect([Object.keys(named), new Set(Object.values(named)).size]).toEqual([tags, 1]);
  });
});
