import { expect, it } from "bun:test";
import { sql } from "kysely";
import { describeEachDatabase } from "../../../test/support/databases.ts";
import { isAsked, overheard, planOf, type Statement } from "../../../test/support/query-plans.ts";
import {
  deleteRepository,
  digestOf,
  imageOf,
  push,
  repositoryName,
  storeBlob,
  tagName,
  testRegistry,
} from "../../../test/support/registry.ts";
import type { Database } from "../../platform/database/database.ts";
import { consumerPosition, boundEvents } from "../../platform/events/consume-events.ts";
import type { Envelope } from "../../platform/events/access-event.ts";
import { sequenceEvents } from "../../platform/events/positions.ts";
import { recordEvents, writeEvents } from "../../platform/events/record-events.ts";
import { deleteBlob } from "../../registry/blobs.ts";
import { deleteManifest, deleteTag } from "../../registry/delete-manifest.ts";
import { registryMigrations } from "../../registry/migrations.ts";
import { addEntries } from "./add-entries.ts";
import { consumerName, hasChangesToTell, tellChanges } from "./consume.ts";
import type { Entry } from "./entry.ts";
import { type EntryFilter, type EntryPlace, findEntries, shownEntry } from "./find-entries.ts";
import { auditMigrations } from "./migrations.ts";
import { switchAudit } from "./switch-audit.ts";

const app = repositoryName("team/app");
const ann: Envelope = {
  actor: { kind: "account", id: "id-of-ann", name: "ann" },
  address: "192.0.2.7",
  requestId: "request-1",
};

const found = async ({ read }: Database, filter: EntryFilter = {}) =>
  (await findEntries(read, filter, { limit: 1000 })).items.map(shownEntry);

describeEachDatabase("the audit log", (dialect, open) => {
  async function start() {
    const database = await open([registryMigrations, auditMigrations]);
    await switchAudit(database, true, 1);
    return { database, registry: testRegistry(database, { by: ann }) };
  }

  it("tells who did what to an image, and nothing of what follows by itself", async () => {
    const { database, registry } = await start();
    const config = await storeBlob(registry, app, "config");
    const one = imageOf([config]);
    const other = imageOf([config], { annotations: { other: "one" } });
    await push(registry, app, { of: one, tags: ["latest"] });
    await push(registry, app, { of: other, tags: ["latest"] });
    await deleteTag(registry, app, tagName("latest"));
    await deleteManifest(registry, app, other.digest);
    await deleteBlob(registry, app, config);
    await deleteRepository(registry, app);
    await tellChanges(database);
    const entries = (await found(database)).toReversed();
    expect(entries.map(({ action, repository, target, detail }) => [action, repository, target, detail])).toEqual([
      ["audit-enabled", undefined, undefined, {}],
      ["repository-created", app, undefined, {}],
      ["blob-added", app, config, {}],
      ["manifest-pushed", app, one.digest, {}],
      ["tag-created", app, "latest", { digest: one.digest }],
      ["manifest-pushed", app, other.digest, {}],
      ["tag-moved", app, "latest", { from: one.digest, digest: other.digest }],
      ["tag-deleted", app, "latest", { from: other.digest }],
      ["manifest-deleted", app, other.digest, {}],
      ["blob-removed", app, config, {}],
      ["repository-deleted", app, undefined, {}],
    ]);
    for (const entry of entries.slice(1)) {
      expect(entry).toMatchObject({ ...ann, outcome: "done", times: 1 });
      expect(Date.parse(entry.at)).toBeWithin(Date.now() - 60_000, Date.now() + 60_000);
    }
    expect(entries.map(({ id }) => id)).toEqual(entries.map((_, index) => index + 1));
    expect(await hasChangesToTell(database)).toBe(false);
  });

  it("tells changes of rights as they were before and after", async () => {
    const { database } = await start();
    await writeEvents(
      database,
      async (tx) =>
        recordEvents(tx, {
          kind: "access-changed",
          action: "account-changed",
          target: { id: "id-of-bob", name: "bob" },
          before: { disabled: false },
          after: { disabled: true },
        }),
      { ...ann, actor: { ...ann.actor, tokenId: "token-3" } },
    );
    await tellChanges(database);
    expect(await found(database, { action: "account-changed" })).toMatchObject([
      {
        actor: { kind: "account", name: "ann", tokenId: "token-3" },
        target: "bob",
        detail: { id: "id-of-bob", before: { disabled: false }, after: { disabled: true } },
      },
    ]);
  });

  it("tells each change once, whoever reads at once, and none that it could not write down", async () => {
    const { database, registry } = await start();
    for (let number = 0; number < 60; number++) await storeBlob(registry, app, `blob ${String(number)}`);
    await sequenceEvents(database);
    const position = await consumerPosition(database.read, consumerName);
    // The next id is taken: whoever writes fails in the middle.
    await database.write((tx) => addEntries(tx, [entry({ action: "planted" })]));
    await database.write((tx) => tx.updateTable("audit_state").set({ last_id: 1 }).execute());
    expect((await Promise.allSettled([tellChanges(database)])).map(({ status }) => status)).toEqual(["rejected"]);
    expect(await consumerPosition(database.read, consumerName)).toBe(position);
    await database.write((tx) => tx.updateTable("audit_state").set({ last_id: 2 }).execute());
    await Promise.all([tellChanges(database), tellChanges(database), tellChanges(database)]);
    const entries = await found(database);
    expect(entries.filter(({ action }) => action === "blob-added")).toHaveLength(60);
    expect(entries.map(({ id }) => id)).toEqual(entries.map((_, index) => entries.length - index));
  });

  it("tells of changes that were dropped before it could read them", async () => {
    const { database, registry } = await start();
    for (const text of ["one", "two", "three", "four"]) await storeBlob(registry, app, text);
    await sequenceEvents(database);
    await boundEvents(database, 1);
    await tellChanges(database);
    expect((await found(database)).map(({ action, detail }) => [action, detail])).toEqual([
      ["blob-added", {}],
      ["audit-gap", { changes: 3 }],
      ["audit-enabled", {}],
    ]);
  });

  it("tells that it was switched off, and keeps nobody's changes waiting then", async () => {
    const { database, registry } = await start();
    await Promise.all([switchAudit(database, false, 2), switchAudit(database, false, 2)]);
    await storeBlob(registry, app, "unseen");
    await tellChanges(database);
    expect(await consumerPosition(database.read, consumerName)).toBeUndefined();
    await switchAudit(database, true, 3);
    await storeBlob(registry, app, "seen");
    await tellChanges(database);
    expect(
      (await found(database))
        .map(({ action, target }) => [action, target])
        .toReversed()
        .slice(0, 3),
    ).toEqual([
      ["audit-enabled", undefined],
      ["audit-disabled", undefined],
      ["audit-enabled", undefined],
    ]);
    expect(await found(database, { action: "blob-added" })).toMatchObject([{ target: digestOf("seen") }]);
  });

  it("bounds and cleans what came from a client", async () => {
    const { database } = await start();
    const nasty = `\u001b[2Jx\n\u202e${"y".repeat(600)}`;
    await database.write((tx) =>
      addEntries(tx, [
        entry({ target: nasty, by: { ...ann, actor: { ...ann.actor, name: nasty } }, detail: { note: nasty } }),
        entry({
          detail: Object.fromEntries(Array.from({ length: 1000 }, (_, at) => [`key-${String(at)}`, "z".repeat(100)])),
        }),
      ]),
    );
    const [long, short] = await found(database, { since: 10 });
    expect(long?.detail).toEqual({ omittedCharacters: expect.any(Number) });
    for (const text of [short?.target, short?.actor.name, short?.detail["note"]]) {
      expect(text).toStartWith("?[2Jx??yyy");
      expect(text).toHaveLength(515);
    }
  });

  const filters: Readonly<Record<string, EntryFilter>> = {
    everything: {},
    "a time": { since: 1000, until: 2000 },
    "an actor": { actor: "name-7" },
    "an action": { action: "action-3" },
    "a repository": { repository: "team/r-5" },
    "a request": { requestId: "request-11" },
    "what was refused": { outcome: "refused" },
    "an actor in a time": { actor: "name-7", since: 1000, until: 3000 },
  };

  it("is searched by pages, the newest first", async () => {
    const { database } = await start();
    await fill(database, 2000);
    for (const [what, filter] of Object.entries(filters)) {
      const pages: number[] = [];
      let after: EntryPlace | undefined;
      for (let isLast = false; !isLast;) {
        const page = await findEntries(database.read, filter, { after, limit: 7 });
        pages.push(...page.items.map(({ id }) => id));
        after = page.items.at(-1);
        isLast = page.isLast;
      }
      const all = await findEntries(database.read, filter, { limit: 10_000 });
      expect(pages, what).toEqual(all.items.map(({ id }) => id));
      expect(pages.length, what).toBeGreaterThan(0);
      const times = all.items.map(({ at }) => at);
      expect(times, what).toEqual(times.toSorted((one, other) => other - one));
    }
    expect((await findEntries(database.read, { actor: "nobody" }, { limit: 10 })).items).toEqual([]);
  }, 30_000);

  it("is searched by an index, however much there is", async () => {
    const { database } = await start();
    await fill(database, 20_000);
    if (dialect === "postgres") await sql`analyze`.execute(database.read);
    const heard: Statement[] = [];
    const { read } = overheard(database, (statement) => heard.push(statement));
    for (const after of [undefined, { at: 1500, id: 1500 }]) {
      for (const filter of Object.values(filters)) await findEntries(read, filter, { after, limit: 100 });
    }
    expect(heard.length).toBeGreaterThan(16);
    for (const statement of heard.filter(isAsked)) {
      const plan = await planOf(database, statement);
      expect(plan.filter(isWalk), `${statement.sql}\n${plan.join("\n")}`).toEqual([]);
    }
    const planted = { sql: "select id from audit_entries where times = 7 order by actor_id", parameters: [] };
    expect((await planOf(database, planted)).filter(isWalk)).not.toEqual([]);
  }, 30_000);
});

/** A table gone through, or sorted; in order of an index SQLite says so too. */
const isWalk = (line: string): boolean =>
  /^SCAN \w+\b(?! USING (?:COVERING )?INDEX)|USE TEMP B-TREE FOR (?:ORDER BY|LAST)|Seq Scan|\bSort\b.* rows=\d{4}/.test(
    line,
  );

const entry = (parts: Partial<Entry>): Entry => ({
  at: 100,
  action: "tag-created",
  outcome: "done",
  by: ann,
  ...parts,
});

/** Entries of many, so that a database that chooses by what there is chooses as it will. */
async function fill(database: Database, count: number): Promise<void> {
  const series =
    database.dialect === "sqlite"
      ? sql`(with recursive s(n) as (select 1 union all select n + 1 from s where n < ${sql.lit(count)}) select n from s)`
      : sql`generate_series(1, ${sql.lit(count)}) as s(n)`;
  const insert = sql`
    insert into audit_entries
    select n + 10, n, 'action-' || (n % 40), case n % 50 when 0 then 'refused' else 'done' end,
      'account', 'id', 'name-' || (n % 100), null, '192.0.2.1', 'request-' || n, 'team/r-' || (n % 200), 'latest', 1, '{}'
    from ${series}`;
  const requests = sql`insert into audit_requests select 'further-' || n, n + 10 from ${series}`;
  await database.write(async (tx) => {
    await insert.execute(tx);
    await requests.execute(tx);
  });
}
