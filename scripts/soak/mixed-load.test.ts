import { expect, it } from "bun:test";
import { readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { startServer } from "../../test/support/server.ts";
import { mixedLoad } from "./mixed-load.ts";

const kinds = ["pushes", "pulls", "cut pushes", "cut pulls"];

it("does all that it should, and sees bytes that are not those which were asked for", async () => {
  await using server = await startServer();
  const load = mixedLoad(server);
  let isOver = false;
  const running = load.run(() => isOver);
  while (!kinds.every((what) => (load.done.get(what) ?? 0) > 2)) await Bun.sleep(50);
  expect(load.problems).toEqual([]);
  // Others of the same length, where the server looks no further than at the size.
  const shards = join(server.data, "blobs");
  while (!load.problems.some((problem) => problem.startsWith("other bytes of sha256:"))) {
    await damage(shards);
    await Bun.sleep(50);
  }
  isOver = true;
  await running;
}, 60_000);

async function damage(shards: string): Promise<void> {
  for (const name of await readdir(shards, { recursive: true })) {
    const file = Bun.file(join(shards, name));
    if (file.size === 200) await writeFile(join(shards, name), new Uint8Array(200)).catch(() => {});
  }
}
