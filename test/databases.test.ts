import { Database } from "bun:sqlite";
import { expect, it } from "bun:test";
import { join } from "node:path";
import { sql } from "kysely";
import type { Migrations } from "../src/platform/database/migrations.ts";
import { describeEachDatabase } from "./support/databases.ts";
import { startServer } from "./support/server.ts";

const owner: Migrations = {
  owner: "test",
  steps: [
    {
      name: "202601010000_words",
      up: (schema, columns) => schema.schema.createTable("words").addColumn("word", columns.text).execute(),
    },
  ],
};

describeEachDatabase("a test's own database", (dialect, open) => {
  it.each(["first", "second"])("holds the tables, and nothing of another test (%s)", async (word) => {
    const database = await open([owner]);
    expect(database.dialect).toBe(dialect);
    await database.write(async (tx) => {
      await sql`insert into words values (${word})`.execute(tx);
    });
    expect((await sql`select word from words`.execute(database.read)).rows).toEqual([{ word }]);
  });

  it("stands beside a second one", async () => {
    const [one, other] = [await open([owner]), await open()];
    await sql`select word from words`.execute(one.read);
    await expect(sql`select word from words`.execute(other.read)).rejects.toThrow("words");
  });
});

it("a server's tables on SQLite have no deferred constraint, of which only a shared commit would tell", async () => {
  await using server = await startServer();
  using database = new Database(join(server.data, "berth.sqlite"), { readonly: true });
  const named = (pattern: string): readonly unknown[] =>
    database.query("select name from sqlite_schema where sql like ? order by name").values(pattern).flat();
  expect(named("% references %")).toContain("sessions");
  expect(named("% deferr%")).toEqual([]);
});
