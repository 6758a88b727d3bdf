import { afterAll, beforeAll, expect, it } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

/** Opens pipes that nobody writes to, each of which keeps a thread waiting, and then asks for a file. */
const program = `
  import { open, stat } from "node:fs/promises";
  import { ensureThreads } from ${JSON.stringify(resolve(import.meta.dir, "ensure-threads.ts"))};
  ensureThreads();
  for (const pipe of process.argv.slice(2)) open(pipe, "r").catch(() => undefined);
  await stat("/");
  process.stdout.write("answered");`;

let folder: string;
const pipes = Array.from({ length: 12 }, (_, at) => `pipe-${at}`);
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "berth-threads-"));
  await Bun.write(join(folder, "main.ts"), program);
  await Bun.build({
    entrypoints: [join(folder, "main.ts")],
    target: "bun",
    compile: { outfile: join(folder, "main") },
  });
  await Bun.spawn(["mkfifo", ...pipes], { cwd: folder }).exited;
}, 60_000);
afterAll(async () => rm(folder, { recursive: true, force: true }));

/** Ends as soon as it has answered, or after the time. */
async function run(threads: string | undefined, mostMs: number): Promise<string> {
  const { UV_THREADPOOL_SIZE: _, ...rest } = process.env;
  const env = threads === undefined ? rest : { ...rest, UV_THREADPOOL_SIZE: threads };
  const child = Bun.spawn([join(folder, "main"), ...pipes], { cwd: folder, env, stderr: "inherit" });
  const timer = setTimeout(() => child.kill("SIGKILL"), mostMs);
  let told = "";
  for await (const chunk of child.stdout) {
    told += new TextDecoder().decode(chunk);
    child.kill("SIGKILL");
  }
  clearTimeout(timer);
  return told;
}

it("the executable reads a file while twelve others make it wait", async () => {
  expect(await run(undefined, 60_000)).toBe("answered");
}, 70_000);

it("and does not where it has two threads, which shows that the pipes keep them", async () => {
  expect(await run("2", 2000)).toBe("");
}, 70_000);
