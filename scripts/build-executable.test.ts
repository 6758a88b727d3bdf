import { afterAll, beforeAll, expect, it } from "bun:test";
import { copyFile, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { buildExecutable } from "./build-executable.ts";
import { run } from "./proof/run.ts";

const planted: Readonly<Record<string, string>> = {
  "package.json": '{ "name": "planted", "version": "7.8.9" }',
  "src/main.ts": `
    import { ensureThreads } from "./ensure-threads.ts";
    import { start } from "./inner/deep/start.ts";
    declare const BERTH_VERSION: string;
    ensureThreads();
    if (process.argv[2] === "threads") console.log(process.env.UV_THREADPOOL_SIZE, process.env.BUN_JSC_numberOfGCMarkers);
    else start(BERTH_VERSION);`,
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
  const threads = resolve(import.meta.dir, "../src/platform/runtime/ensure-threads.ts");
  await copyFile(threads, join(root, "src/ensure-threads.ts"));
  await buildExecutable({ root, outfile: join(root, "dist/planted") });
}, 60_000);
afterAll(async () => rm(root, { recursive: true, force: true }));

it("holds the workers and the version, and reads no .env of the folder it starts in", async () => {
  const { output, exitCode } = await run([join(root, "dist/planted")], { cwd: join(root, "work") });
  expect(output.trim()).toBe("from the worker: 7.8.9 undefined");
  expect(exitCode).toBe(0);
  expect([...new Bun.Glob("*").scanSync(join(root, "dist"))]).toEqual(["planted"]);
}, 60_000);

it("begins anew with the threads that it needs, and leaves those alone that it is given", async () => {
  const unset = ["env", "-u", "UV_THREADPOOL_SIZE", "-u", "BUN_JSC_numberOfGCMarkers"];
  const threadsOf = async (...given: readonly string[]): Promise<string> =>
    (await run([...unset, ...given, join(root, "dist/planted"), "threads"], { cwd: root })).output.trim();
  expect(await threadsOf()).toBe("16 1");
  expect(await threadsOf("UV_THREADPOOL_SIZE=32")).toBe("32 1");
  expect(await threadsOf("BUN_JSC_numberOfGCMarkers=4")).toBe("16 4");
}, 60_000);
