import { Database } from "bun:sqlite";
import { expect, it } from "bun:test";
import { statementsOf } from "./statements.ts";

/** A connection, and how many statements it compiled. */
function counted() {
  const database = new Database(":memory:");
  let compiled = 0;
  const prepare = database.prepare.bind(database);
  database.prepare = (...given: Parameters<typeof prepare>) => {
    compiled++;
    return prepare(...given);
  };
  return { statements: statementsOf(database), database, compiled: () => compiled };
}

it("compiles each statement once, also where there are more than Bun would keep", () => {
  const { statements, compiled } = counted();
  for (let round = 0; round < 3; round++) {
    for (let value = 0; value < 100; value++) {
      const { rows } = statements.run({ sql: `select ${value} + ? as sum`, parameters: [round] });
      expect(rows).toEqual([{ sum: value + round }]);
    }
  }
  expect(compiled()).toBe(100);
});

it("gives those back that were not used for long", () => {
  const { statements, compiled } = counted();
  for (let value = 0; value < 600; value++) statements.run({ sql: `select ${value}`, parameters: [] });
  expect(statements.run({ sql: "select 0 as zero", parameters: [] }).rows).toEqual([{ zero: 0 }]);
  statements.run({ sql: "select 599", parameters: [] });
  expect(compiled()).toBe(601);
});

it("goes on when a table changes that a kept statement reads whole", () => {
  const { statements, database } = counted();
  database.run("create table notes (text text)");
  database.run("insert into notes values ('a')");
  expect(statements.run({ sql: "select * from notes", parameters: [] }).rows).toEqual([{ text: "a" }]);
  database.run("alter table notes add column more text default 'b'");
  expect(statements.run({ sql: "select * from notes", parameters: [] }).rows).toEqual([{ text: "a", more: "b" }]);
});

it("tells changes of what answers nothing, and rows of what changes and answers", () => {
  const { statements } = counted();
  statements.run({ sql: "create table notes (text text)", parameters: [] });
  const insert = { sql: "insert into notes values (?), (?)", parameters: ["a", "b"] };
  expect(statements.run(insert)).toEqual({ rows: [], changes: 2 });
  const update = { sql: "update notes set text = text || ? returning text", parameters: ["!"] };
  expect(statements.run(update)).toEqual({ rows: [{ text: "a!" }, { text: "b!" }], changes: 0 });
  statements.finalize();
  expect(statements.run(update).rows).toEqual([{ text: "a!!" }, { text: "b!!" }]);
});
