import { expect, it } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

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

it("processes that write all the time take turns: each has its share, and none waits long", async () => {
  const folder = await mkdtemp(join(tmpdir(), "berth-writers-"));
  try {
    const writers = Array.from({ length: 3 }, () => {
      const child = Bun.spawn([process.execPath, "-e", program(join(folder, "berth.sqlite"))], {
        cwd: import.meta.dir,
        stdin: "pipe",
        stdout: "pipe",
        stderr: "inherit",
      });
      return { child, lines: linesOf(child.stdout) };
    });
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

async function* linesOf(stream: ReadableStream<Uint8Array>): AsyncGenerator<string, undefined> {
  let rest = "";
  for await (const chunk of stream) {
    const parts = (rest + new TextDecoder().decode(chunk)).split("\n");
    rest = parts.pop() ?? "";
    yield* parts;
  }
  return undefined;
}
