import { afterAll, beforeAll, expect, it } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buildExecutable } from "./build-executable.ts";
import { run } from "./proof/run.ts";

const planted: Readonly<Record<string, string>> = {
  "package.json": '{ "name": "planted", "version": "7.8.9" }',
  "src/main.ts": `
    import { start } from "./inner/deep/start.ts";
    declare const BERTH_VERSION: string;
    start(BERTH_VERSION);`,
  "src/inner/deep/start.ts": `
    import { Worker } from "node:worker_threads";
    export function start(word: string): void {
      const worker = new Worker(new URL("../thread.ts", import.meta.url), { workerData: word });
      worker.on("message", (text) => { console.log(text, process.env.PLANTED); void worker.terminate(); });
    }`,
  "src/inner/thread.ts": `
    import { parentPort, workerData } from "node:worker_threads";
    parentPort?.postMessage("from the worker: " + workerData);`,
  "work/.env": "PLANTED=read",
};

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "berth-build-"));
  for (const [path, text] of Object.entries(planted)) await Bun.write(join(root, path), text);
});
afterAll(async () => rm(root, { recursive: true, force: true }));

it("holds the workers and the version, and reads no .env of the folder it starts in", async () => {
  const outfile = join(root, "dist/planted");
  await buildExecutable({ root, outfile });
  const { output, exitCode } = await run([outfile], { cwd: join(root, "work") });
  expect(output.trim()).toBe("from the worker: 7.8.9 undefined");
  expect(exitCode).toBe(0);
  expect([...new Bun.Glob("*").scanSync(join(root, "dist"))]).toEqual(["planted"]);
}, 60_000);
