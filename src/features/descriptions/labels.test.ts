import { expect, it } from "bun:test";
import { sql } from "kysely";
import { describeEachDatabase } from "../../../test/support/databases.ts";
import { overheard, planOf, type Statement } from "../../../test/support/query-plans.ts";
import type { Database, Writer } from "../../platform/database/database.ts";
import { registryMigrations } from "../../registry/migrations.ts";
import type { Visible } from "../../registry/repositories.ts";
import { labelsOf, listLabelled } from "./labels.ts";
import { descriptionMigrations } from "./migrations.ts";

const everything: Visible = [(eb) => eb.lit(true)];
const shown: Visible = [
  (eb) => eb("repositories.visibility", "=", "public"),
  (eb) => eb("repositories.name", "in", ["r/2", "r/3"]),
];

/** What takes longer the more there is. */
const walks =
  /SCAN (?:label|repositories)\b|TEMP B-TREE FOR|Seq Scan on (?:repository_labels|repositories)|\bSort\b.* rows=\d{3}/;

describeEachDatabase("repositories with a label", (dialect, open) => {
  async function start() {
    const database = await open([registryMigrations, descriptionMigrations]);
    await database.write((tx) => fill(tx, dialect));
    return database;
  }

  it("are listed from the index of labels, in the order of their names", async () => {
    const database = await start();
    const heard: Statement[] = [];
    const { read } = overheard(database, (statement) => heard.push(statement));
    const ask = (visible: Visible, value?: string) => {
      const label = { key: "all", ...(value !== undefined && { value }) };
      return listLabelled(read, visible, { label, prefix: "r/", after: "r/1", limit: 3 });
    };
    const names = async (page: ReturnType<typeof ask>) => (await page).items.map(({ name }) => name);
    expect(await names(ask(everything))).toEqual(["r/10", "r/100", "r/1000"]);
    expect(await names(ask(everything, "v0"))).toEqual(["r/10", "r/100", "r/1000"]);
    expect(await names(ask(everything, "v1"))).toEqual(["r/1001", "r/101", "r/1011"]);
    expect(await names(ask(shown))).toEqual(["r/2", "r/3", "r/7"]);
    expect(await ask(shown, "v7")).toMatchObject({ items: [{ name: "r/7", visibility: "public" }], isLast: true });
    expect(heard).toHaveLength(5);
    for (const statement of heard) expect((await planOf(database, statement)).join("\n")).not.toMatch(walks);
  }, 60_000);

  it("would be seen to be gone through, or sorted", async () => {
    const database = await start();
    for (const planted of [
      "select value from repository_labels as label where value = 'x'",
      "select repository from repository_labels as label where key = 'all' order by length(value)",
    ]) {
      const plan = await planOf(database, { sql: planted, parameters: [] });
      expect(plan.join("\n"), planted).toMatch(walks);
    }
  }, 60_000);

  it("have them together, however many are asked for", async () => {
    const { read } = await start();
    const found = await labelsOf(
      read,
      Array.from({ length: 1200 }, (_, at) => at + 1),
    );
    expect(found.size).toBe(1200);
    expect(found.get(7)).toEqual({ all: "v7" });
  }, 60_000);
});

/** Of some thousands, one is public. */
async function fill(tx: Writer, dialect: Database["dialect"]): Promise<void> {
  const many =
    dialect === "postgres"
      ? sql`generate_series(1, 3000) n`
      : sql`(with recursive c(n) as (select 1 union all select n + 1 from c where n < 3000) select n from c)`;
  for (const statement of [
    sql`insert into repositories (name, created_at, visibility)
      select 'r/' || n, 0, case n when 7 then 'public' else 'private' end from ${many}`,
    sql`insert into repository_labels (repository_id, key, value, repository)
      select id, 'all', 'v' || substr(name, length(name), 1), name from repositories`,
    ...(dialect === "postgres" ? [sql`analyze`] : []),
  ]) {
    await statement.execute(tx);
  }
}
