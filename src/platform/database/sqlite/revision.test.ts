import { Database as BunSqlite } from "bun:sqlite";
import { afterEach, beforeEach, describe, expect, it } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setImmediate as nextTurn } from "node:timers/promises";
import { sql } from "kysely";
import { openSqlite } from "./open-sqlite.ts";
import { countChanges, revisionOf } from "./revision.ts";

let folder = "";
let path = "";
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "berth-revision-"));
  path = join(folder, "berth.sqlite");
});
afterEach(() => rm(folder, { recursive: true }));

it("is another one to whoever has heard of another's commit, in whatever turn it was asked for before", async () => {
  const [one, other] = [await openSqlite(path), await openSqlite(path)];
  const seen = Promise.withResolvers<number | undefined>();
  const server = Bun.listen({
    hostname: "127.0.0.1",
    port: 0,
    socket: { data: () => seen.resolve(one.revision?.()) },
  });
  const client = await Bun.connect({ hostname: "127.0.0.1", port: server.port, socket: { data: () => undefined } });
  try {
    await other.write((tx) => sql`create table notes (text text)`.execute(tx));
    await nextTurn();
    const before = one.revision?.();
    await other.write((tx) => sql`insert into notes values ('note')`.execute(tx), { survives: "process" });
    client.write("heard of it");
    expect(await seen.promise).not.toBe(before);
  } finally {
    client.terminate();
    server.stop(true);
    await Promise.all([one.close(), other.close()]);
  }
});

/** Writes a note for every line of its input, and says so; `crash` ends it in the middle of a transaction. */
const neighbour = `
import { Database } from "bun:sqlite";
const database = new Database(process.argv[1]);
for await (const line of console) {
  database.run("BEGIN IMMEDIATE");
  database.run("insert into notes values (?)", ["x".repeat(5000)]);
  if (line === "crash") process.kill(process.pid, "SIGKILL");
  database.run(line === "undo" ? "ROLLBACK" : "COMMIT");
  if (line === "shorten") database.run("PRAGMA wal_checkpoint(TRUNCATE)");
  console.log(line);
}
`;

function startNeighbour() {
  const child = Bun.spawn([process.execPath, "-e", neighbour, path], {
    stdin: "pipe",
    stdout: "pipe",
  });
  const answers = child.stdout.getReader();
  return {
    async tell(line: string): Promise<void> {
      void child.stdin.write(`${line}\n`);
      await child.stdin.flush();
      await answers.read();
    },
    exited: child.exited,
    [Symbol.dispose]: () => child.kill(),
  };
}

describe.each(["the map of the log's index", "the pragma, where the map is not found"])("by %s", (way) => {
  it("is another one after each commit of another process, and the same where there was none", async () => {
    const writer = new BunSqlite(path, { create: true });
    for (const statement of ["PRAGMA journal_mode = WAL", "create table notes (text text)"]) writer.run(statement);
    const reader = new BunSqlite(path, { readonly: true });
    const revision = revisionOf(reader, way.startsWith("the map") ? path : join(folder, "elsewhere"));
    const count = reader.query<{ readonly notes: number }, []>("select count(*) as notes from notes");
    let last = [revision.read(), count.get()?.notes ?? 0] as const;
    const check = (added: number): void => {
      const now = [revision.read(), count.get()?.notes ?? 0] as const;
      expect(now[1]).toBe(last[1] + added);
      if (added > 0) expect(now[0]).not.toBe(last[0]);
      last = now;
    };
    try {
      for (let round = 0; round < 3; round += 1) {
        using another = startNeighbour();
        for (const line of ["write", "undo", "write", "shorten", "write", "undo"]) {
          await another.tell(line);
          check(line === "undo" ? 0 : 1);
          Bun.gc(true);
        }
        expect(revision.read()).toBe(last[0]);
        writer.run("insert into notes values ('own')");
        check(1);
        await another.tell("crash");
        await another.exited;
        check(0);
      }
    } finally {
      revision.close();
      reader.close();
      writer.close();
    }
  });
});

describe("changes of words that others write", () => {
  it("count also where they are seen half-written, and once more when they are whole", () => {
    const words = new Uint32Array([3_007_000, 0, 7, 8]);
    const { read } = countChanges(words);
    const first = read();
    expect(read()).toBe(first);
    words[2] = 9;
    const half = read();
    expect(half).not.toBe(first);
    words[3] = 10;
    expect([first, half]).not.toContain(read());
    words.set([7, 8], 2);
    expect([first, half]).not.toContain(read());
  });

  it("cannot be looked for once the database is closed, where the map was", async () => {
    const database = await openSqlite(path);
    await database.close();
    expect(() => database.revision?.()).toThrow("closed");
  });
});
