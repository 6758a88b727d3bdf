import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdtemp, readdir, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

const berth = resolve(import.meta.dir, "../bin/berth");
const goodSecret = "q8Zr1mC5vX2kB7nH4jL9pT6wY3dF0sGa";
const otherSecret = "aGs0Fd3Yw6Tp9Lj4Hn7Bk2Xv5Cm1rZ8q";

let data = "";
beforeEach(async () => {
  data = await mkdtemp(join(tmpdir(), "berth-first-start-"));
});
afterEach(() => rm(data, { recursive: true, force: true }));

interface Run {
  readonly exitCode: number;
  readonly output: string;
}

/** Starts a server and ends it as soon as it listens; one that does not start ends by itself. */
async function startOnce(env: Readonly<Record<string, string>>): Promise<Run> {
  const { BERTH_ADMIN_PASSWORD: _password, BERTH_SECRET: _secret, ...rest } = process.env;
  const child = Bun.spawn([berth, "serve", "--addr", "127.0.0.1:0", "--data", data], {
    env: { ...rest, ...env },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  let isTold = false;
  const [stdout, stderr] = await Promise.all([
    readAll(child.stdout, (text) => {
      // Once: a second signal would end it where it stands.
      if (isTold || !text.includes('"event":"listening"')) return;
      isTold = true;
      child.kill("SIGTERM");
    }),
    readAll(child.stderr, () => undefined),
  ]);
  return { exitCode: await child.exited, output: stdout + stderr };
}

async function readAll(stream: ReadableStream<Uint8Array>, seen: (text: string) => void): Promise<string> {
  let text = "";
  const decoder = new TextDecoder();
  for await (const chunk of stream) {
    text += decoder.decode(chunk, { stream: true });
    seen(text);
  }
  return text;
}

const modeOf = async (name: string): Promise<number> => (await stat(join(data, name))).mode & 0o777;

describe("the first start", () => {
  test("makes a secret and a password that only their owner may read, and shows the password that once", async () => {
    const first = await startOnce({});
    expect(first.exitCode).toBe(0);
    const password = (await readFile(join(data, "initial-admin-password"), "utf8")).trim();
    const secret = (await readFile(join(data, "secret"), "utf8")).trim();
    expect(first.output.split(password)).toHaveLength(2);
    expect(first.output).not.toContain(secret);
    expect([await modeOf("initial-admin-password"), await modeOf("secret")]).toEqual([0o600, 0o600]);

    const second = await startOnce({ BERTH_ADMIN_PASSWORD: "another password" });
    expect(second.exitCode).toBe(0);
    expect(second.output).not.toContain(password);
    expect((await readFile(join(data, "initial-admin-password"), "utf8")).trim()).toBe(password);
  }, 30_000);

  test("keeps no file of a password and a secret that it was given, and logs neither", async () => {
    const password = "a password of my own";
    const run = await startOnce({ BERTH_ADMIN_PASSWORD: password, BERTH_SECRET: goodSecret });
    expect(run.exitCode).toBe(0);
    expect(run.output).not.toContain(password);
    expect(run.output).not.toContain(goodSecret);
    expect(await readdir(data)).not.toContain("initial-admin-password");
    expect(await readdir(data)).not.toContain("secret");
  }, 30_000);
});

describe("a start is refused, with its reason and nothing else,", () => {
  const refusals: readonly (readonly [string, Readonly<Record<string, string>>, string])[] = [
    ["with a blank secret", { BERTH_SECRET: "" }, "berth: secret: it is blank"],
    ["with a secret of spaces", { BERTH_SECRET: " " }, "berth: secret: it is blank"],
    ["with a default secret", { BERTH_SECRET: "changeme" }, "berth: secret: it is shorter than 32 bytes"],
    ["with a short secret", { BERTH_SECRET: goodSecret.slice(1) }, "berth: secret: it is shorter than 32 bytes"],
    ["with a secret of one letter", { BERTH_SECRET: "a".repeat(40) }, "berth: secret: it repeats itself"],
    ["with a blank password", { BERTH_ADMIN_PASSWORD: "" }, "berth: BERTH_ADMIN_PASSWORD: it has fewer than 8"],
    ["with a short password", { BERTH_ADMIN_PASSWORD: "admin" }, "berth: BERTH_ADMIN_PASSWORD: it has fewer than 8"],
  ];
  for (const [name, env, reason] of refusals) {
    test(
      name,
      async () => {
        const { exitCode, output } = await startOnce(env);
        expect(exitCode).toBe(2);
        expect(output.trim()).toStartWith(reason);
        expect(output.trim().split("\n")).toHaveLength(1);
      },
      30_000,
    );
  }

  test("with another secret than the database was made with", async () => {
    const password = { BERTH_ADMIN_PASSWORD: "a password of my own" };
    expect((await startOnce({ ...password, BERTH_SECRET: goodSecret })).exitCode).toBe(0);
    const { exitCode, output } = await startOnce({ ...password, BERTH_SECRET: otherSecret });
    expect(exitCode).toBe(2);
    expect(output).toContain("berth: secret: it is not the one");
    expect((await startOnce({ ...password, BERTH_SECRET: goodSecret })).exitCode).toBe(0);
  }, 30_000);
});
