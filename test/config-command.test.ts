import { afterEach, beforeEach, describe, expect, it } from "bun:test";
import { mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { withoutSettings } from "./support/server.ts";

const berth = resolve(import.meta.dir, "../bin/berth");

let folder = "";
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "berth-config-command-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

interface Run {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

async function run(args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Run> {
  const child = Bun.spawn([berth, ...args], {
    cwd: folder,
    env: { ...withoutSettings(process.env), ...env },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const [stdout, stderr] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
  return { exitCode: await child.exited, stdout, stderr };
}

const config = (command: string, ...args: readonly string[]) => run(["config", command, ...args]);

describe("berth config check", () => {
  it("says ok, and leaves nothing behind", async () => {
    expect(await config("check")).toEqual({ exitCode: 0, stdout: "ok\n", stderr: "" });
    expect(await readdir(folder)).toEqual([]);
  });

  it("tells every problem with its path and ends with 2", async () => {
    await writeFile(join(folder, "berth.yaml"), "log: {level: loud}\nsecret: short\ncolect: {}\n");
    const { exitCode, stdout, stderr } = await config("check", "--config", "berth.yaml", "--addr", "nowhere:70000");
    expect([exitCode, stdout]).toEqual([2, ""]);
    const paths = stderr.trim().split("\n");
    expect(paths.map((line) => line.split(": ", 2)[1])).toEqual(["http.addr", "log.level", "colect", "secret"]);
  });

  it("warns of what has no effect, and is ok with it", async () => {
    const { exitCode, stdout, stderr } = await run(["config", "check"], {
      REGISTRY_HTTP_ADDR: "127.0.0.1:1",
      BERTH_HTTP_ADDR: "127.0.0.1:2",
      REGISTRY_REDIS_PASSWORD: "canary-of-redis",
    });
    expect([exitCode, stdout]).toEqual([0, "ok\n"]);
    expect(stderr).toBe(
      "berth: warning: settings of distribution's that have no effect here: REGISTRY_REDIS_PASSWORD\n" +
        "berth: warning: REGISTRY_HTTP_ADDR is overruled by BERTH_HTTP_ADDR\n",
    );
  });

  it("looks at the file that distribution's variable names, and at Berth's before it", async () => {
    await writeFile(join(folder, "theirs.yml"), "version: 0.1\nstorage: {s3: {bucket: b}}\n");
    await writeFile(join(folder, "ours.yml"), "colect: {}\n");
    const theirs = { REGISTRY_CONFIGURATION_PATH: "theirs.yml" };
    expect((await run(["config", "check"], theirs)).stderr).toContain("berth: storage.s3: ");
    const both = await run(["config", "check"], { ...theirs, BERTH_CONFIG: "ours.yml" });
    expect(both.stderr).toBe("berth: colect: there is no such setting\n");
    expect((await run(["config", "check"], { REGISTRY_CONFIGURATION_PATH: "" })).exitCode).toBe(0);
  });
});

describe("berth config print", () => {
  const secret = "canary-abcdefghijklmnopqrstuvwxyz-0123456789";
  const database = "postgres://berth:canary-of-postgres@db.example.org/berth";

  it("shows every setting with its source, and no secret", async () => {
    await writeFile(join(folder, "berth.yaml"), `secret: ${secret}\ndatabase: {url: '${database}'}\n`);
    const env = { BERTH_LOG_LEVEL: "debug", REGISTRY_STORAGE_DELETE_ENABLED: "false" };
    const args = ["config", "print", "--config", "berth.yaml", "--addr", "127.0.0.1:6000"];
    const { stdout, stderr, exitCode } = await run(args, env);
    expect([stderr, exitCode]).toEqual(["", 0]);
    const rows = stdout
      .trim()
      .split("\n")
      .map((line) => line.split(/ {2,}/));
    expect(rows).toContainEqual(["secret", "(hidden)", "file berth.yaml"]);
    expect(rows).toContainEqual(["database.url", "postgres://berth:hidden@db.example.org/berth", "file berth.yaml"]);
    expect(rows).toContainEqual(["http.addr", "127.0.0.1:6000", "flag --addr"]);
    expect(rows).toContainEqual(["log.level", "debug", "environment BERTH_LOG_LEVEL"]);
    expect(rows).toContainEqual(["delete.enabled", "false", "environment REGISTRY_STORAGE_DELETE_ENABLED"]);
    expect(rows).toContainEqual(["http.publicUrl", "(not set)", "default"]);
    expect(rows).toContainEqual(["uploads.idleSeconds", "86400", "default"]);

    const json = await run([...args, "--json"], env);
    const printed = JSON.parse(json.stdout) as Record<string, unknown>;
    expect(Object.keys(printed)).toEqual(rows.map(([path = ""]) => path));
    expect(printed["http.addr"]).toEqual({ value: "127.0.0.1:6000", source: "flag", name: "--addr" });
    expect(printed["delete.enabled"]).toEqual({
      value: false,
      source: "environment",
      name: "REGISTRY_STORAGE_DELETE_ENABLED",
    });
    expect(printed["http.publicUrl"]).toEqual({ value: null, source: "default" });
    expect(stdout + json.stdout).not.toContain("canary");
  });

  it("ends with 2 where there is nothing right to print", async () => {
    const { exitCode, stdout, stderr } = await run(["config", "print"], { BERTH_LOG_LEVEL: "loud" });
    expect([exitCode, stdout]).toEqual([2, ""]);
    expect(stderr).toStartWith("berth: log.level: ");
  });
});

it("berth config schema prints the JSON Schema", async () => {
  const { exitCode, stdout } = await config("schema");
  expect(exitCode).toBe(0);
  expect(JSON.parse(stdout)).toMatchObject({ type: "object", properties: { log: { type: "object" } } });
});

describe("a data folder with the images of distribution", () => {
  const commands = [
    ["serve", "--addr", "127.0.0.1:0"],
    ["uploads", "list"],
    ["user", "password", "admin"],
    ["config", "check"],
  ];
  for (const command of commands) {
    it(`is refused, and left as it is, by berth ${command.slice(0, 2).join(" ")}`, async () => {
      const data = join(folder, "registry");
      await mkdir(join(data, "docker/registry/v2/repositories"), { recursive: true });
      const { exitCode, stdout, stderr } = await run([...command, "--data", data]);
      expect([exitCode, stdout]).toEqual([2, ""]);
      expect(stderr).toStartWith(`berth: data: ${data} holds the images of a registry of distribution`);
      expect(stderr).toContain("berth migrate distribution");
      expect(await readdir(data)).toEqual(["docker"]);
    });
  }
});
