import { expect, it } from "bun:test";
import { describeEachDatabase } from "../../test/support/databases.ts";
import {
  digestOf,
  imageOf,
  indexOf,
  manifestOf,
  push,
  repositoryName,
  storeBlob,
  subjectOf,
  testRegistry,
  type TestManifest,
} from "../../test/support/registry.ts";
import type { Digest } from "../oci/digest.ts";
import { ociIndex, ociManifest } from "../oci/media-type.ts";
import { deleteManifest } from "./delete-manifest.ts";
import { registryMigrations } from "./migrations.ts";
import { listReferrers, type ReferrerDescriptor, type ReferrersRequest } from "./referrers.ts";
import type { Registry } from "./registry.ts";

const app = repositoryName("team/app");
const subject = digestOf("subject");
const fallbackTag = subject.replace(":", "-");

const list = (registry: Registry, request: Partial<ReferrersRequest> = {}) =>
  listReferrers(registry, {
    repository: app,
    subject,
    artifactTypes: [],
    after: undefined,
    mostItems: 1000,
    mostBytes: 4_000_000,
    ...request,
  });
const digestsOf = (items: readonly ReferrerDescriptor[]): readonly string[] => items.map(({ digest }) => digest);

/** Follows the pages to their end. */
async function listAll(registry: Registry, request: Partial<ReferrersRequest>, onPage = async () => {}) {
  const pages: (readonly ReferrerDescriptor[])[] = [];
  for (let after: string | undefined; ;) {
    const page = await list(registry, { ...request, after });
    pages.push(page.items);
    after = page.items.at(-1)?.digest ?? after;
    if (page.isLast) return pages;
    await onPage();
  }
}

/** Pushes an index under the tag that clients use where there is no referrers list. */
const pushFallback = (registry: Registry, manifests: readonly unknown[]) =>
  push(registry, app, {
    of: manifestOf({ schemaVersion: 2, mediaType: ociIndex, manifests }, ociIndex),
    tags: [fallbackTag],
  });
const entry = (digest: Digest, fields: Readonly<Record<string, unknown>> = {}) => ({
  mediaType: ociManifest,
  digest,
  size: 7,
  ...fields,
});

describeEachDatabase("referrers", (_dialect, open) => {
  async function start() {
    const registry = testRegistry(await open([registryMigrations]));
    const config = await storeBlob(registry, app, "config");
    const refer = async (name: string, fields: Readonly<Record<string, unknown>> = {}): Promise<TestManifest> => {
      const of = imageOf([config], { ...subjectOf(subject), annotations: { name }, ...fields });
      await push(registry, app, { of });
      return of;
    };
    const referTimes = async (count: number, fields: Readonly<Record<string, unknown>> = {}) => {
      const made = [];
      for (let number = 0; number < count; number++) made.push(await refer(`referrer ${number}`, fields));
      return made.map(({ digest }) => digest).toSorted();
    };
    return { registry, refer, referTimes };
  }
  it("are described as the manifests describe themselves", async () => {
    const { registry, refer } = await start();
    const [typed, untyped] = [await refer("typed", { artifactType: "application/x.sbom" }), await refer("untyped")];
    const index = indexOf([], subjectOf(subject));
    await push(registry, app, { of: index });
    const expected = [
      {
        mediaType: ociManifest,
        digest: typed.digest,
        size: typed.bytes.byteLength,
        artifactType: "application/x.sbom",
        annotations: { name: "typed" },
      },
      {
        mediaType: ociManifest,
        digest: untyped.digest,
        size: untyped.bytes.byteLength,
        artifactType: "application/vnd.oci.image.config.v1+json",
        annotations: { name: "untyped" },
      },
      { mediaType: ociIndex, digest: index.digest, size: index.bytes.byteLength },
    ];
    expect(await list(registry)).toEqual({
      items: expected.toSorted((a, b) => (a.digest < b.digest ? -1 : 1)),
      isLast: true,
    });
  });

  it("are none in another repository, of another subject, and after their deletion", async () => {
    const { registry, refer } = await start();
    const { digest } = await refer("one");
    expect((await list(registry, { repository: repositoryName("team/other") })).items).toEqual([]);
    expect((await list(registry, { subject: digestOf("other") })).items).toEqual([]);
    await deleteManifest(registry, app, digest);
    expect(await list(registry)).toEqual({ items: [], isLast: true });
  });

  it("come in the order of their digests, each once, page by page by number", async () => {
    const { registry, referTimes } = await start();
    const digests = await referTimes(7);
    for (const mostItems of [1, 2, 3, 7, 8]) {
      const pages = await listAll(registry, { mostItems });
      expect(pages.flatMap(digestsOf)).toEqual(digests);
      expect(pages.length).toBe(Math.ceil(7 / mostItems));
    }
  });

  it("come page by page by size, however large one of them is", async () => {
    const { registry, referTimes } = await start();
    const digests = await referTimes(6, { annotations: undefined, layers: [], artifactType: "application/x.small" });
    expect(digests.length).toBe(6);
    const config = digestOf("config");
    const large = [];
    for (const size of [10_000, 60_000, 10_000]) {
      const annotations = { text: `${large.length} ${"é".repeat(size / 2)}` };
      const of = imageOf([config], { ...subjectOf(subject), annotations });
      await push(registry, app, { of });
      large.push(of.digest);
    }
    const all = [...new Set([...digests, ...large])].toSorted();
    for (const mostBytes of [1, 5000, 25_000, 1_000_000]) {
      const pages = await listAll(registry, { mostBytes });
      expect(pages.flatMap(digestsOf)).toEqual(all);
      for (const page of pages) {
        if (page.length > 1) expect(Buffer.byteLength(JSON.stringify(page))).toBeLessThanOrEqual(mostBytes + 2);
      }
    }
  });

  it("are filtered by any of several types", async () => {
    const { registry, refer } = await start();
    const [a, b, c] = [
      await refer("a", { artifactType: "application/x.a" }),
      await refer("b", { artifactType: "application/x.b" }),
      await refer("c", { artifactType: "application/x.c" }),
    ];
    await pushFallback(registry, [
      entry(digestOf("fa"), { artifactType: "application/x.a" }),
      entry(digestOf("none")),
      entry(digestOf("fc"), { artifactType: "application/x.c" }),
    ]);
    const of = async (...artifactTypes: readonly string[]) =>
      digestsOf((await list(registry, { artifactTypes })).items);
    expect(await of("application/x.a")).toEqual([a.digest, digestOf("fa")].toSorted());
    expect(await of("application/x.b", "application/x.c")).toEqual([b.digest, c.digest, digestOf("fc")].toSorted());
    expect(await of("application/x.d")).toEqual([]);
    expect((await of()).length).toBe(6);
  });

  it("include what a client keeps under the fallback tag, each once", async () => {
    const { registry, refer } = await start();
    const known = await refer("known");
    const [one, two] = [digestOf("one"), digestOf("two")];
    await pushFallback(registry, [
      entry(one, { annotations: { from: "fallback" } }),
      entry(known.digest, { annotations: { from: "fallback" } }),
      entry(two),
      entry(one, { annotations: { from: "fallback" } }),
    ]);
    const { items, isLast } = await list(registry);
    expect(isLast).toBe(true);
    expect(digestsOf(items)).toEqual([one, two, known.digest].toSorted());
    expect(items.find(({ digest }) => digest === one)).toEqual(entry(one, { annotations: { from: "fallback" } }));
    expect(items.find(({ digest }) => digest === known.digest)?.["annotations"]).toEqual({ name: "known" });
  });

  it("come in order and each once where rows and the fallback tag are mixed, page by page", async () => {
    const { registry, referTimes } = await start();
    const rows = await referTimes(6);
    const extra = Array.from({ length: 6 }, (_, number) => digestOf(`fallback ${number}`));
    await pushFallback(
      registry,
      [...extra, ...rows.slice(2, 4), ...extra].map((digest) => entry(digest)),
    );
    const all = [...rows, ...extra].toSorted();
    for (const mostItems of [1, 2, 5, 12]) {
      expect((await listAll(registry, { mostItems })).flatMap(digestsOf)).toEqual(all);
    }
    expect((await listAll(registry, { mostBytes: 700 })).flatMap(digestsOf)).toEqual(all);
  });

  it("of a fallback tag that is no index are none", async () => {
    const { registry } = await start();
    await push(registry, app, { of: imageOf([digestOf("config")]), tags: [fallbackTag] });
    expect((await list(registry)).items).toEqual([]);
  });

  it("are each on one page while others come and go", async () => {
    const { registry, refer, referTimes } = await start();
    const digests = await referTimes(8);
    let added = 0;
    const pages = await listAll(registry, { mostItems: 2 }, async () => {
      added += 1;
      const { digest } = await refer(`added ${added}`);
      if (added % 2 === 0) await deleteManifest(registry, app, digest);
    });
    const seen = pages.flatMap(digestsOf);
    expect(seen.length).toBe(new Set(seen).size);
    expect(seen).toEqual(seen.toSorted());
    expect(seen).toEqual(expect.arrayContaining([...digests]));
  });
});
