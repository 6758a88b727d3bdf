import { expect, it } from "bun:test";
import { type Kysely, sql } from "kysely";
import { describeEachDatabase } from "../../test/support/databases.ts";
import { isAsked, overheard, planOf, type Statement } from "../../test/support/query-plans.ts";
import {
  digestOf,
  imageOf,
  push,
  repositoryName,
  storeBlob,
  subjectOf,
  tagName,
  testRegistry,
} from "../../test/support/registry.ts";
import type { Tables } from "../platform/database/database.ts";
import { deleteBlob, findBlob, mountBlob, renewLease } from "./blobs.ts";
import { collect } from "./collect.ts";
import { deleteManifest, deleteTag } from "./delete-manifest.ts";
import { findManifest } from "./manifests.ts";
import { registryMigrations } from "./migrations.ts";
import { listReferrers } from "./referrers.ts";
import { listRepositories, type Visible } from "./repositories.ts";
import {
  findTagSummary,
  listManifestSummaries,
  listRepositorySummaries,
  listTagSummaries,
  presentBlobs,
  presentManifests,
} from "./summaries.ts";
import { listTags } from "./tags.ts";
import { listUploads } from "./uploads/list-uploads.ts";

/** Tables that grow with what is stored; of uploads there are only so many. */
const large = "(?:repositories|blobs|repository_blobs|manifests|repository_manifests|edges|tags|doomed_blobs)";

/** What takes longer the more there is: a table or all of a repository gone through, or sorted. */
const walks: readonly RegExp[] = [
  new RegExp(`^SCAN ${large}\\b`),
  /^SEARCH \w+ .*\(repository_id=\?\)/,
  /^USE TEMP B-TREE/,
  new RegExp(`Seq Scan on ${large}\\b`),
  /^Index Cond: \(repository_id = [^)]*\)+$/,
  /\bSort\b.* rows=\d{4}/,
];

const walksIn = (plan: readonly string[]): readonly string[] =>
  plan.filter((line) => walks.some((walk) => walk.test(line)));

const app = repositoryName("library/app");
const all: Visible = [(expression) => expression.lit(true)];
const publicOnes: Visible = [(expression) => expression("repositories.visibility", "=", "public")];

describeEachDatabase("what a large registry is asked", (dialect, open) => {
  async function start() {
    const database = await open([registryMigrations]);
    const heard: Statement[] = [];
    const registry = testRegistry(overheard(database, (statement) => heard.push(statement)));
    const [config, layer] = [await storeBlob(registry, app, "config"), await storeBlob(registry, app, "layer")];
    const image = imageOf([config, layer]);
    await push(registry, app, { of: image, tags: ["latest", "v1"] });
    const referrer = imageOf([config], { ...subjectOf(image.digest), artifactType: "application/x.sbom" });
    await push(registry, app, { of: referrer });
    if (dialect === "postgres") await fill(database.read);
    return { database, registry, heard, config, layer, image, referrer };
  }

  it("is answered from an index, without going through a table or a repository", async () => {
    const { database, registry, heard, config, layer, image, referrer } = await start();
    const page = { after: "library/b", limit: 100 };
    const referrers = { repository: app, subject: image.digest, after: "sha256:1", mostItems: 100, mostBytes: 1e6 };
    const asked: Readonly<Record<string, () => Promise<unknown>>> = {
      tags: () => listTags(registry, app, { after: "a", limit: 100 }),
      "the first tags": () => listTags(registry, app, { after: undefined, limit: 100 }),
      "all repositories": () => listRepositories(registry, all, page),
      "public repositories": () => listRepositories(registry, publicOnes, page),
      "the first public repositories": () => listRepositories(registry, publicOnes, { ...page, after: undefined }),
      referrers: () => listReferrers(registry, { ...referrers, artifactTypes: [] }),
      "referrers of a type": () => listReferrers(registry, { ...referrers, artifactTypes: ["application/x.sbom"] }),
      uploads: () => listUploads(registry, { after: undefined, limit: 100 }),
      "summaries of repositories": () => listRepositorySummaries(registry, publicOnes, { ...page, prefix: "library/" }),
      "summaries of tags": () => listTagSummaries(registry, app, { after: "a", limit: 100 }),
      "tags of a manifest": () => listTagSummaries(registry, app, { after: "a", limit: 100, digest: image.digest }),
      "a tag": () => findTagSummary(registry.database.read, app, "latest"),
      "summaries of manifests": () => listManifestSummaries(registry, app, { after: "sha256:1", limit: 100 }),
      "blobs that are there": () => presentBlobs(registry, app, [image.digest]),
      "manifests that are there": () => presentManifests(registry, app, [image.digest, referrer.digest]),
      "a manifest by tag": () => findManifest(registry, app, { kind: "tag", tag: tagName("latest") }),
      "a manifest by digest": () => findManifest(registry, app, { kind: "digest", digest: image.digest }),
      "a blob": () => findBlob(registry, app, layer),
      "a lease": () => renewLease(registry, app, layer),
      "a mount": () => mountBlob(registry, { repository: repositoryName("library/b"), digest: layer, sources: [app] }),
      "a push": () => push(registry, app, { of: imageOf([config, layer], { annotations: { a: "b" } }), tags: ["v2"] }),
      "a push of a blob": () => storeBlob(registry, app, "another"),
      "a tag's end": () => deleteTag(registry, app, tagName("v1")),
      "a referrer's end": () => deleteManifest(registry, app, referrer.digest),
      "a manifest's end": () => deleteManifest(registry, app, image.digest),
      "a blob's end": () => deleteBlob(registry, app, layer),
      "the collector": () => collect(registry),
    };
    const found: string[] = [];
    for (const [what, ask] of Object.entries(asked)) {
      heard.length = 0;
      await ask();
      expect(heard.length, what).toBeGreaterThan(0);
      for (const statement of heard.filter(isAsked)) {
        const plan = await planOf(database, statement);
        const bad = walksIn(plan);
        // By name they would all be gone through, to find the few that name it.
        if (what === "tags of a manifest") expect(plan.join("\n")).toContain("tags_digest");
        if (bad.length > 0) found.push(`${what}: ${statement.sql}\n  ${plan.join("\n  ")}`);
      }
    }
    expect(found.join("\n")).toBe("");
  }, 60_000);

  it("would be seen to go through a table, through a repository, or to sort", async () => {
    const { database } = await start();
    for (const planted of [
      "select bytes from manifests where size_bytes = 7",
      "select name from tags where repository_id = 1 and updated_at = 7 order by name",
      "select name from tags where repository_id = 1 and name > 'a' order by updated_at",
    ]) {
      expect(walksIn(await planOf(database, { sql: planted, parameters: [] })), planted).not.toEqual([]);
    }
  }, 60_000);
});

const digest = (prefix: string) => sql.raw(`'sha256:${prefix}' || lpad(n::text, 62, '0')`);

/** So much that PostgreSQL, which chooses by what there is, chooses as in a large registry. */
async function fill(read: Kysely<Tables>): Promise<void> {
  const subject = digestOf("subject");
  const many = sql`generate_series(1, 5000) n`;
  for (const statement of [
    sql`insert into repositories (name, created_at) select 'library/r' || n, 0 from ${many}`,
    sql`insert into blobs (digest, blob_key, size_bytes, created_at) select ${digest("b")}, 'k' || n, 1, 0 from ${many}`,
    sql`insert into repository_blobs select 1, ${digest("b")}, 9007199254740991 from ${many}`,
    sql`insert into manifests (digest, media_type, size_bytes, subject, descriptor_bytes, bytes)
      select ${digest("a")}, 'm', 1, ${sql.lit(subject)}, 1, '' from ${many}`,
    sql`insert into repository_manifests (repository_id, digest, subject, artifact_type, pushed_at)
      select 1, ${digest("a")}, ${sql.lit(subject)}, 'application/x.sbom', 0 from ${many}`,
    sql`insert into edges select 1, ${digest("b")}, ${digest("a")}, 'blob' from ${many}`,
    sql`insert into tags select 1, 'x' || n, ${digest("a")}, 0, 0 from ${many}`,
    sql`insert into doomed_blobs (blob_key, delete_after) select 'd' || n, 9007199254740991 from ${many}`,
    sql`analyze`,
  ]) {
    await statement.execute(read);
  }
}
