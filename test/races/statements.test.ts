import { expect, test } from "bun:test";
import { type CompiledQuery, sql } from "kysely";
import { deleteBlob, findBlob, mountBlob } from "../../src/registry/blobs.ts";
import { collect } from "../../src/registry/collect.ts";
import { deleteManifest } from "../../src/registry/delete-manifest.ts";
import { findManifest } from "../../src/registry/manifests.ts";
import { listTags } from "../../src/registry/tags.ts";
import { listReferrers } from "../../src/registry/referrers.ts";
import { registryMigrations } from "../../src/registry/migrations.ts";
import type { Database } from "../../src/platform/database/database.ts";
import { describeEachDatabase } from "../support/databases.ts";
import {
  codesOf,
  countRows,
  digestOf,
  endLeases,
  imageOf,
  indexOf,
  push,
  repositoryName,
  storeBlob,
  subjectOf,
  testRegistry,
} from "../support/registry.ts";
import { type Paused, paused } from "./program/paused.ts";

/**
 * What comes in between two statements of one transaction, or of one read. On SQLite nothing comes in between: there
 * each of these is the same with nobody else at work.
 */
describeEachDatabase("between two statements", (dialect, open) => {
  const [source, target] = [repositoryName("acme/source"), repositoryName("acme/target")];
  const start = async () => testRegistry(await open([registryMigrations]));
  /** Past the first statement of a transaction, where others can come in behind it. */
  const passFirstStatement = async (work: Paused<unknown>): Promise<void> => {
    if (dialect === "postgres") await work.reach("statement");
  };

  test("a blob that comes in while a mount looks for it may go again: it is not told to be mounted", async () => {
    const registry = await start();
    const digest = await storeBlob(registry, source, "early");
    const mount = paused(registry, (slow) => mountBlob(slow, { repository: target, digest, sources: [source] }));
    await mount.reach("write");
    await deleteBlob(registry, source, digest);
    await passFirstStatement(mount);
    await storeBlob(registry, source, "early");
    const isMounted = await mount.end();
    expect(await codesOf(findBlob(registry, target, digest))).toEqual(isMounted ? [] : ["BLOB_UNKNOWN"]);
    // Where it was not locked it might have gone before the end, and the mount would be of nothing.
    expect(isMounted).toBe(dialect === "sqlite");
  });

  test("a manifest is not pushed onto a blob that may go before its push ends", async () => {
    const registry = await start();
    const image = imageOf([await storeBlob(registry, source, "config"), digestOf("late")]);
    const pushing = paused(registry, (slow) => push(slow, source, { of: image, tags: ["v1"] }));
    await pushing.reach("write");
    await passFirstStatement(pushing);
    await storeBlob(registry, source, "late");
    await endLeases(registry);
    const codes = await codesOf(pushing.end());
    await collect(registry);
    expect(codes).toEqual(dialect === "sqlite" ? [] : ["MANIFEST_BLOB_UNKNOWN"]);
    const counts = await countRows(registry);
    expect([counts["blobs"], counts["repository_blobs"], counts["tags"]]).toEqual(
      dialect === "sqlite" ? [2, 2, 1] : [0, 0, 0],
    );
  });

  test("a delete that another has overtaken leaves alone what is pushed again meanwhile: no tag is left without its manifest", async () => {
    const registry = await start();
    const index = indexOf([], { at: 1 });
    const { digest } = index;
    const again = (): Promise<unknown> => push(registry, source, { of: index, tags: ["v1"] });
    await again();
    const overtaken = paused(registry, (slow) => deleteManifest(slow, source, digest));
    await passFirstStatement(overtaken);
    if (dialect === "postgres") await deleteManifest(registry, source, digest);
    // Behind the locks, and behind the tags that it finds.
    for (let statement = 0; statement < 3; statement += 1) await passFirstStatement(overtaken);
    if (dialect === "postgres") await again();
    await codesOf(overtaken.end());
    const tags = await listTags(registry, source, { after: undefined, limit: 9 });
    const isThere = (await codesOf(findManifest(registry, source, { kind: "digest", digest }))).length === 0;
    expect([tags.items, isThere]).toEqual(dialect === "postgres" ? [["v1"], true] : [[], false]);
  });

  test("a page of referrers misses nothing that was there before it was asked for", async () => {
    const registry = await start();
    const subject = digestOf("subject");
    const referrers = Array.from({ length: 12 }, (_, at) => indexOf([], { ...subjectOf(subject), at }));
    const [last, ...before] = referrers.toSorted((a, b) => (a.digest < b.digest ? 1 : -1));
    if (last === undefined) throw new Error("there are twelve");
    await push(registry, source, { of: last });
    const request = { repository: source, subject, artifactTypes: [], after: undefined, mostItems: 12 };
    for (const [at, of] of before.entries()) {
      const reading = paused(registry, (slow) => listReferrers(slow, { ...request, mostBytes: 1e6 }));
      // Whichever of its statements this is behind: what comes in sorts in front of what is there.
      for (let reads = 0; reads <= at % 4; reads += 1) await reading.reach("read");
      await push(registry, source, { of });
      const { items } = await reading.end();
      expect(items.map(({ digest }) => digest)).toContain(last.digest);
    }
  });

  test("a page of referrers is found by its index", async () => {
    const registry = await start();
    await push(registry, source, { of: indexOf([], subjectOf(digestOf("subject"))) });
    const plan = await planOf(registry.database, (database) =>
      listReferrers(
        { ...registry, database },
        {
          repository: source,
          subject: digestOf("subject"),
          artifactTypes: [],
          after: "sha256:0",
          mostItems: 100,
          mostBytes: 1e6,
        },
      ),
    );
    expect(plan).toContain("repository_manifests_subject");
    expect(plan).not.toMatch(/seq scan|scan (?:repository_)?manifests\b/i);
  });
});

/** How the database goes about the last prepared statement that a read asks. */
async function planOf(database: Database, read: (database: Database) => Promise<unknown>): Promise<string> {
  let last: CompiledQuery | undefined;
  const all: Database["all"] = (query) => {
    last = query;
    return database.all(query);
  };
  await read({ ...database, all });
  if (last === undefined) throw new Error("nothing was read");
  const asked: CompiledQuery = last;
  const explain = database.dialect === "sqlite" ? "explain query plan" : "explain";
  const rows = await database.read.connection().execute(async (connection) => {
    // On tables of a few rows PostgreSQL would read them all, whatever index there is.
    if (database.dialect === "postgres") await sql`set enable_seqscan = off`.execute(connection);
    return connection.executeQuery({ ...asked, sql: `${explain} ${asked.sql}` });
  });
  return rows.rows.map((row) => JSON.stringify(row)).join("\n");
}
