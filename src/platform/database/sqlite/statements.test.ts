import { Database } from "bun:sqlite";
import { expect, it } from "bun:test";
import { statementsOf } from "./statements.ts";

/** A connection, how many statements it compiled, and how many of them still take memory. */
function counted() {
  const database = new Database(":memory:");
  let [compiled, finalized] = [0, 0];
  const prepare = database.prepare.bind(database);
  const noted = <S extends { finalize(): void }>(statement: S): S => {
    const finalize = statement.finalize.bind(statement);
    compiled++;
    return Object.assign(statement, { finalize: () => (finalized++, finalize()) });
  };
  database.prepare = (...given: Parameters<typeof prepare>) => noted(prepare(...given));
  return { statements: statementsOf(database), database, compiled: () => compiled, open: () => compiled - finalized };
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

it("keeps none with a long list, each of which has a length of its own, also not one that failed", () => {
  const { statements, database, open } = counted();
  database.run("create table notes (text text unique)");
  const insert = (texts: readonly string[]) =>
    statements.run({
      sql: `insert into notes values ${texts.map(() => "(?)").join(", ")} returning text`,
      parameters: texts,
    });
  const before = open();
  for (let length = 50; length < 250; length++) {
    const texts = Array.from({ length }, (_, at) => `${length} ${at}`);
    expect(insert(texts).rows).toHaveLength(length);
    expect(() => insert(texts)).toThrow("UNIQUE");
  }
  expect(open()).toBe(before);
  insert(["short"]);
  expect(open()).toBe(before + 1);
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
