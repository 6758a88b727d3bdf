import { expect, it } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { sql } from "kysely";
import { openSqlite } from "./open-sqlite.ts";

/** Writes as fast as it can for a while, beside others that do; tells how often, and how long one had to wait. */
const program = (path: string): string => `
  import { sql } from "kysely";
  const { openSqlite } = await import(${JSON.stringify(join(import.meta.dir, "open-sqlite.ts"))});
  const { write } = await openSqlite(${JSON.stringify(path)});
  await write((tx) => sql\`create table if not exists notes (text text)\`.execute(tx));
  console.log("ready");
  await Bun.stdin.stream().getReader().read();
  let [writes, longestMs] = [0, 0];
  const end = performance.now() + 2000;
  const client = async () => {
    while (performance.now() < end) {
      const began = performance.now();
      await write((tx) => sql\`insert into notes values ('note')\`.execute(tx));
      writes++;
      longestMs = Math.max(longestMs, performance.now() - began);
    }
  };
  await Promise.all(Array.from({ length: 20 }, client));
  console.log(JSON.stringify({ writes, longestMs }));
  process.exit(0);
`;

/** Writes two rows a time, eight at once, and tells of each that is committed. */
const pairs = (path: string): string => `
  import { sql } from "kysely";
  const { openSqlite } = await import(${JSON.stringify(join(import.meta.dir, "open-sqlite.ts"))});
  const { write } = await openSqlite(${JSON.stringify(path)});
  let pairs = 0;
  const client = async () => {
    for (;;) {
      const name = process.pid + "-" + pairs++;
      await write(async (tx) => {
        await sql\`insert into pairs values (\${name})\`.execute(tx);
        await sql\`insert into pairs values (\${name})\`.execute(tx);
      }, { survives: "process" });
      console.log(name);
    }
  };
  await Promise.all(Array.from({ length: 8 }, client));
`;

function start(source: string) {
  const child = Bun.spawn([process.execPath, "-e", source], {
    cwd: import.meta.dir,
    stdin: "pipe",
    stdout: "pipe",
    stderr: "inherit",
  });
  return { child, lines: linesOf(child.stdout) };
}

it("processes that write all the time take turns: each has its share, and none waits long", async () => {
  const folder = await mkdtemp(join(tmpdir(), "berth-writers-"));
  try {
    const writers = Array.from({ length: 3 }, () => start(program(join(folder, "berth.sqlite"))));
    for (const { lines } of writers) expect((await lines.next()).value).toBe("ready");
    for (const { child } of writers) {
      await child.stdin.write("go\n");
      await child.stdin.flush();
    }
    const told = await Promise.all(
      writers.map(async ({ lines }) => {
        const { value = "" } = await lines.next();
        return JSON.parse(value) as { writes: number; longestMs: number };
      }),
    );
    const total = told.reduce((sum, { writes }) => sum + writes, 0);
    for (const { writes, longestMs } of told) {
      expect(writes / total).toBeGreaterThan(0.1);
      // At 10 seconds a request would be refused.
      expect(longestMs).toBeLessThan(8000);
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}, 60_000);

it("of processes that are killed all is there that they told of, and of the rest nothing or all", async () => {
  const folder = await mkdtemp(join(tmpdir(), "berth-killed-"));
  const path = join(folder, "berth.sqlite");
  const database = await openSqlite(path);
  await database.write((tx) => sql`create table pairs (name text)`.execute(tx));
  const writers = [start(pairs(path)), start(pairs(path))];
  try {
    const told = new Set<string>();
    for (const { child, lines } of writers) {
      for (let at = 0; at < 200; at += 1) told.add((await lines.next()).value ?? "ended");
      child.kill("SIGKILL");
    }
    // What they have told of besides.
    for (const { child, lines } of writers) {
      for await (const name of lines) told.add(name);
      await child.exited;
    }
    const found = sql<{ name: string; rows: number }>`select name, count(*) as rows from pairs group by name`;
    const { rows } = await found.execute(database.read);
    const stored = new Map(rows.map((row) => [row.name, row.rows]));
    expect([...told].filter((name) => stored.get(name) !== 2)).toEqual([]);
    expect([...stored].filter(([, count]) => count !== 2)).toEqual([]);
    await database.write((tx) => sql`insert into pairs values ('behind')`.execute(tx));
  } finally {
    for (const { child } of writers) child.kill("SIGKILL");
    await database.close();
    await rm(folder, { recursive: true, force: true });
  }
}, 60_000);

async function* linesOf(stream: ReadableStream<Uint8Array>): AsyncGenerator<string, undefined> {
  let rest = "";
  for await (const chunk of stream) {
    const parts = (rest + new TextDecoder().decode(chunk)).split("\n");
    rest = parts.pop() ?? "";
    yield* parts;
  }
  return undefined;
}
