import { afterAll, beforeAll, expect, it } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setImmediate as nextTurn } from "node:timers/promises";
import { CompiledQuery, sql } from "kysely";
import { errorCode } from "../../telemetry/error-code.ts";
import type { Database, Survives, Writer } from "../database.ts";
import { openSqlite } from "./open-sqlite.ts";

let folder = "";
let database: Database;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "berth-as-one-"));
  database = await openSqlite(join(folder, "berth.sqlite"));
  await database.write(async (tx) => {
    await sql`create table notes (text text primary key)`.execute(tx);
    // Of what a commit is refused for here, another transaction cannot make good: nobody adds or removes an owner.
    await sql`create table owners (name text primary key)`.execute(tx);
    for (const owner of owners) await sql`insert into owners values (${owner})`.execute(tx);
    await sql`create table owned (owner text references owners (name) deferrable initially deferred)`.execute(tx);
    await sql`create trigger gone before insert on notes when new.text = 'gone' begin select raise(rollback, 'gone'); end`.execute(
      tx,
    );
  });
});
afterAll(async () => {
  await database.close();
  await rm(folder, { recursive: true, force: true });
});

/** Numbers of a seed, each below `bound`. */
function numbersOf(seed: number): (bound: number) => number {
  let state = seed;
  return (bound) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * bound);
  };
}

/** What a transaction does, in order. */
type Step =
  | { readonly kind: "insert" | "insert heedlessly" | "remove" | "own"; readonly text: string }
  | { readonly kind: "throw" }
  | { readonly kind: "lose all" };

interface Planned {
  readonly steps: readonly Step[];
  readonly isOneStatement: boolean;
  readonly survives: Survives;
}

function plan(next: (bound: number) => number): Planned {
  const text = (): string => `note ${next(12)}`;
  const owner = (): string => `owner ${next(4)}`;
  const step = (): Step => {
    const kind = next(20);
    if (kind === 0) return { kind: "throw" };
    if (kind === 1) return { kind: "lose all" };
    if (kind < 4) return { kind: "own", text: owner() };
    if (kind < 9) return { kind: "remove", text: text() };
    return { kind: kind < 13 ? "insert heedlessly" : "insert", text: text() };
  };
  const survives = next(2) === 0 ? "power" : "process";
  if (next(3) === 0) return { steps: [{ kind: "insert", text: text() }], isOneStatement: true, survives };
  return { steps: Array.from({ length: 1 + next(4) }, step), isOneStatement: false, survives };
}

const insertInto = (tx: Writer, text: string) => sql`insert into notes values (${text})`.execute(tx);

async function take(tx: Writer, step: Step): Promise<void> {
  if (step.kind === "throw") throw new Error("thrown");
  if (step.kind === "lose all") await insertInto(tx, "gone");
  else if (step.kind === "insert") await insertInto(tx, step.text);
  else if (step.kind === "insert heedlessly") await Promise.allSettled([insertInto(tx, step.text)]);
  else if (step.kind === "remove") await sql`delete from notes where text = ${step.text}`.execute(tx);
  else await sql`insert into owned values (${step.text})`.execute(tx);
}

/** How many notes it saw at its end, or why there is nothing of it. */
async function outcome({ steps, isOneStatement, survives }: Planned): Promise<string> {
  const [step] = steps;
  const written =
    isOneStatement && step?.kind === "insert"
      ? database
          .writeOne(CompiledQuery.raw("insert into notes values (?) returning text", [step.text]), { survives })
          .then((rows) => `${rows.length} row`)
      : database.write(
          async (tx) => {
            for (const one of steps) await take(tx, one);
            const { rows } = await sql<{ n: number }>`select count(*) as n from notes`.execute(tx);
            return `${rows[0]?.n ?? -1} notes`;
          },
          { survives },
        );
  const [result] = await Promise.allSettled([written]);
  if (result.status === "fulfilled") return result.value;
  return errorCode(result.reason) === "Error" ? String(result.reason) : errorCode(result.reason);
}

const owners: ReadonlySet<string> = new Set(["owner 0", "owner 1", "owner 2"]);

interface Model {
  readonly notes: ReadonlySet<string>;
  readonly owned: readonly string[];
}

/** What one transaction behind the other would do. */
function expected({ steps, isOneStatement }: Planned, before: Model): { readonly told: string; readonly model: Model } {
  const [notes, owned] = [new Set(before.notes), [...before.owned]];
  const undone = (told: string) => ({ told, model: before });
  for (const step of steps) {
    if (step.kind === "throw") return undone("Error: thrown");
    if (step.kind === "lose all") return undone("SQLITE_CONSTRAINT_TRIGGER");
    if (step.kind === "insert" && notes.has(step.text)) return undone("SQLITE_CONSTRAINT_PRIMARYKEY");
    if (step.kind === "remove") notes.delete(step.text);
    else if (step.kind === "own") owned.push(step.text);
    else notes.add(step.text);
  }
  if (owned.some((owner) => !owners.has(owner))) return undone("SQLITE_CONSTRAINT_FOREIGNKEY");
  return { told: isOneStatement ? "1 row" : `${notes.size} notes`, model: { notes, owned } };
}

const stored = async (): Promise<readonly [readonly string[], readonly string[]]> => {
  const notes = await sql<{ text: string }>`select text from notes order by text`.execute(database.read);
  const owned = await sql<{ owner: string }>`select owner from owned order by owner`.execute(database.read);
  return [notes.rows.map(({ text }) => text), owned.rows.map(({ owner }) => owner)];
};

it("random transactions that come together end as if each ran behind the one before", async () => {
  const seed = Date.now() >>> 0;
  const next = numbersOf(seed);
  let model: Model = { notes: new Set(), owned: [] };
  for (let round = 0; round < 60; round += 1) {
    const planned = Array.from({ length: 1 + next(20) }, () => plan(next));
    const outcomes: Promise<string>[] = [];
    for (const one of planned) {
      outcomes.push(outcome(one));
      if (next(5) === 0) await nextTurn();
    }
    const wanted = planned.map((one) => {
      const { told, model: after } = expected(one, model);
      model = after;
      return told;
    });
    expect({ seed, round, told: await Promise.all(outcomes) }).toEqual({ seed, round, told: wanted });
    expect(await stored()).toEqual([[...model.notes].toSorted(), [...model.owned].toSorted()]);
  }
});
