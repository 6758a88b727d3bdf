import { expect, it, test } from "bun:test";
import { describeEachDatabase } from "../../../test/support/databases.ts";
import { isAsked, overheard, planOf, type Statement } from "../../../test/support/query-plans.ts";
import { quietLog } from "../../../test/support/quiet-log.ts";
import { repositoryName } from "../../../test/support/registry.ts";
import { anonymous, type Caller } from "../../access/principal.ts";
import type { Database } from "../../platform/database/database.ts";
import { addUsage } from "./add-usage.ts";
import { csvCell } from "./csv.ts";
import { findUsage, type UsageFilter, type UsagePlace } from "./find-usage.ts";
import { usageMigrations } from "./migrations.ts";
import type { UsageRow } from "./tables.ts";
import { usageCounts } from "./usage-counts.ts";
import { removeUsage } from "./usage-job.ts";

const app = repositoryName("team/app");
const other = repositoryName("team/other");
const ann: Caller = { principal: { kind: "account", id: "id-of-ann", name: "ann" } };
const pull = { pulls: 1, pulledBytes: 100, pushes: 0, pushedBytes: 0 };
const push = { pulls: 0, pulledBytes: 0, pushes: 1, pushedBytes: 7 };

const noon = Date.UTC(2026, 10, 29, 12);
const dayMs = 86_400_000;

const allOf = async ({ read }: Database, filter: UsageFilter = {}): Promise<readonly UsageRow[]> =>
  (await findUsage(read, filter, { limit: 1000 })).items;

/** Of several days, repositories and principals. */
async function fill(database: Database): Promise<void> {
  const rows = Array.from({ length: 3000 }, (_, number): UsageRow => {
    const name = `name-${String(number % 7)}`;
    const day = new Date(noon + (number % 10) * dayMs).toISOString().slice(0, 10);
    const who = { principal_kind: "account", principal_id: `id-${name}`, principal_name: name };
    const amounts = { pulls: 1, pulled_bytes: 2, pushes: 3, pushed_bytes: 4 };
    return {
      day,
      repository: `team/r-${String(number)}`,
      ...who,
      token_id: `token-${String(number % 3)}`,
      ...amounts,
    };
  });
  await addUsage(database, new Map(rows.map((row) => [JSON.stringify(row), row])));
}

describeEachDatabase("usage", (_dialect, open) => {
  async function start(most?: number) {
    const database = await open([usageMigrations]);
    const { log, errors } = quietLog();
    const time = { now: noon };
    const countsOn = (on: Database) =>
      usageCounts({ database: on, log, now: () => time.now, ...(most !== undefined && { most }) });
    return { database, errors, time, countsOn, counts: countsOn(database) };
  }

  it("is kept by day, repository, principal and token, and added to what is there", async () => {
    const { database, time, counts, countsOn } = await start();
    const another = countsOn(database);
    for (const process of [counts, another]) {
      process.add(ann, app, pull);
      process.add(ann, app, push);
      process.add(ann, app, pull);
      process.add({ ...ann, tokenId: "token-1" }, app, pull);
      process.add(anonymous, app, pull);
      process.add(ann, other, pull);
    }
    time.now += dayMs;
    counts.add(ann, app, pull);
    await Promise.all([counts.flush(), another.flush()]);
    counts.add(ann, app, pull);
    await counts.flush();
    const rows = await allOf(database);
    expect(
      rows.map((row) => [row.day, row.repository, row.principal_name, row.token_id, row.pulls, row.pushes]),
    ).toEqual([
      ["2026-11-29", app, "anonymous", "", 2, 0],
      ["2026-11-29", app, "ann", "", 4, 2],
      ["2026-11-29", app, "ann", "token-1", 2, 0],
      ["2026-11-29", other, "ann", "", 2, 0],
      ["2026-11-30", app, "ann", "", 2, 0],
    ]);
    expect(rows[1]).toMatchObject({ principal_kind: "account", pulled_bytes: 400, pushed_bytes: 14 });
  });

  it("waits for a database that does not answer, and is bounded meanwhile", async () => {
    const { database, errors, countsOn } = await start(10);
    let fails = true;
    const counts = countsOn({
      ...database,
      write: (work, options) => (fails ? Promise.reject(new Error("no room")) : database.write(work, options)),
    });
    for (let number = 0; number < 15; number++) counts.add(ann, repositoryName(`team/r${String(number)}`), pull);
    await counts.flush();
    counts.add(ann, repositoryName("team/r3"), pull);
    expect(counts.dropped()).toBe(5);
    expect(errors).toContain("usage not written");
    expect(await allOf(database)).toEqual([]);
    fails = false;
    await counts.flush();
    const rows = await allOf(database);
    expect(rows).toHaveLength(10);
    expect(rows.find(({ repository }) => repository === "team/r3")?.pulls).toBe(2);
  });

  const filters: Readonly<Record<string, UsageFilter>> = {
    everything: {},
    "some days": { since: "2026-11-30", until: "2026-12-02" },
    "an account": { account: "name-3" },
    "an account on some days": { account: "name-3", since: "2026-12-01" },
    "a token": { token: "token-1" },
    "a repository": { repository: "team/r-77" },
  };

  it("is listed in pages that an index gives, whatever is asked for", async () => {
    const database = await open([usageMigrations]);
    await fill(database);
    const statements: Statement[] = [];
    const heard = overheard(database, (statement) => void statements.push(statement));
    const found = new Map<string, number>();
    for (const [what, filter] of Object.entries(filters)) {
      const seen: string[] = [];
      for (let after: UsagePlace | undefined; ;) {
        const { items, isLast } = await findUsage(heard.read, filter, { after, limit: 100 });
        seen.push(...items.map((row) => [row.day, row.repository, row.principal_id, row.token_id].join(" ")));
        after = items.at(-1);
        if (isLast) break;
      }
      expect(seen).toEqual(seen.toSorted());
      expect(new Set(seen).size).toBe(seen.length);
      found.set(what, seen.length);
    }
    expect(Object.fromEntries(found)).toEqual({
      everything: 3000,
      "some days": 600,
      "an account": 429,
      "an account on some days": 343,
      "a token": 1000,
      "a repository": 1,
    });
    if (database.dialect === "sqlite") {
      for (const statement of statements.filter(isAsked)) {
        expect((await planOf(database, statement)).join("\n")).not.toMatch(
          /TEMP B-TREE|SCAN usage_days(?! USING INDEX)/,
        );
      }
    }
  });

  it("goes with its age", async () => {
    const database = await open([usageMigrations]);
    await fill(database);
    expect(await removeUsage(database, "2026-12-03")).toBe(1200);
    expect((await allOf(database)).map(({ day }) => day).at(0)).toBe("2026-12-03");
    expect(await removeUsage(database, "2026-12-03")).toBe(0);
  });
});

test("a cell is no formula, and stays one cell", () => {
  const cells = ["plain", '=1+2"', "+1", "-1", "@x", "\tx", "a,b", 'say "x"', "two\nlines", "\r=1", undefined, -5];
  expect(cells.map(csvCell)).toEqual([
    "plain",
    `"'=1+2"""`,
    `"'+1"`,
    `"'-1"`,
    `"'@x"`,
    `"'\tx"`,
    '"a,b"',
    '"say ""x"""',
    '"two\nlines"',
    `"'\r=1"`,
    "",
    "-5",
  ]);
});
