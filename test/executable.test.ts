import { afterAll, beforeAll, expect, it } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { buildExecutable } from "../scripts/build-executable.ts";
import { run } from "../scripts/proof/run.ts";
import { sha256, writeImage } from "./support/image-layout.ts";
import { requirement } from "./support/requirement.ts";
import { startServer, type TestServer } from "./support/server.ts";
import { countServing, until, untilLogged, workersOf } from "./support/workers.ts";

const root = resolve(import.meta.dir, "..");
const executable = join(root, "dist/berth");

let folder: string;
let server: TestServer;
beforeAll(async () => {
  await buildExecutable({ root, outfile: executable });
  folder = await mkdtemp(join(tmpdir(), "berth-executable-"));
  server = await startServer({ binary: executable });
}, 60_000);
afterAll(async () => {
  // Undefined where the build failed: its own error is the one to show.
  await (server as TestServer | undefined)?.[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

it("knows its version and the commit it was built from", async () => {
  const { version } = (await Bun.file(join(root, "package.json")).json()) as { version: string };
  const commit = await run(["git", "rev-parse", "--short=12", "HEAD"], { cwd: root });
  const { output, exitCode } = await run([executable, "version"], { cwd: folder });
  expect(exitCode).toBe(0);
  expect(output).toContain(version);
  expect(output).toContain(commit.output.trim());
});

it("serves, and ends in order when it is told to", async () => {
  const short = await startServer({ binary: executable });
  try {
    const response = await fetch(`${short.url}/v2/`);
    expect(response.status).toBe(401);
    expect(response.headers.get("www-authenticate")).toStartWith("Bearer ");
    expect(await short.stop()).toBe(0);
  } finally {
    await short[Symbol.asyncDispose]();
  }
});

it("serves in two processes, of itself, and replaces one that dies", async () => {
  await using pair = await startServer({ binary: executable, env: { BERTH_HTTP_WORKERS: "2" } });
  const pids = [...workersOf(pair).values()];
  expect(pids).toHaveLength(2);
  process.kill(pids[0] ?? 0, "SIGKILL");
  await untilLogged(pair, "worker started", { count: 3 });
  await until("two serve again", async () => (await countServing(pair)) === 2);
  expect((await fetch(`${pair.url}/v2/`)).status).toBe(401);
  expect(await pair.stop()).toBe(0);
}, 60_000);

requirement("skopeo", Bun.which("skopeo") === null ? "skopeo is not installed" : undefined, () => {
  it("pushes an image to it and gets the same image back", async () => {
    const digest = await writeImage(join(folder, "image"));
    const login = `--creds=${server.admin.username}:${server.admin.password}`;
    const target = `docker://${server.host}/team/app:1`;
    const skopeo = async (...args: readonly string[]) => {
      const { output, exitCode } = await run(["skopeo", "--insecure-policy", ...args], { cwd: folder });
      expect(exitCode, output).toBe(0);
      return output;
    };
    await skopeo("copy", `--dest-${login.slice(2)}`, "--dest-tls-verify=false", "oci:image:1", target);
    const manifest = await skopeo("inspect", "--raw", login, "--tls-verify=false", target);
    expect(sha256(manifest)).toBe(digest);
    await skopeo("copy", `--src-${login.slice(2)}`, "--src-tls-verify=false", target, "oci:back:1");
    expect(await Bun.file(join(folder, "back/blobs/sha256", digest)).text()).toBe(manifest);
  }, 60_000);
});
