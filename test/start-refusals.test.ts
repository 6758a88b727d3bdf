import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdir, mkdtemp, readdir, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { startServer, type TestServer, withoutSettings } from "./support/server.ts";

const berth = resolve(import.meta.dir, "../bin/berth");
let server: TestServer;
let folder = "";

beforeAll(async () => {
  server = await startServer();
  folder = await mkdtemp(join(tmpdir(), "berth-refusals-"));
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

interface Run {
  readonly exitCode: number;
  /** Lines of the standard error output. */
  readonly errors: readonly string[];
}

async function run(...args: readonly string[]): Promise<Run> {
  const child = Bun.spawn([berth, ...args], {
    env: withoutSettings(process.env),
    stdin: "ignore",
    stdout: "ignore",
    stderr: "pipe",
    // One that starts after all is no refusal.
    timeout: 10_000,
  });
  const text = await new Response(child.stderr).text();
  return { exitCode: await child.exited, errors: text.trim().split("\n") };
}

const serve = (data: string, ...args: readonly string[]): Promise<Run> =>
  run("serve", "--addr", "127.0.0.1:0", "--data", data, ...args);

describe("a second server is refused, and does the first no harm,", () => {
  test("on its port", async () => {
    const data = join(folder, "other");
    const { exitCode, errors } = await run("serve", "--addr", server.host, "--data", data);
    expect({ exitCode, lines: errors.length }).toEqual({ exitCode: 2, lines: 1 });
    expect(errors[0]).toStartWith(`berth: http.addr: cannot listen on ${server.host}`);
    expect(await readdir(folder)).not.toContain("other");
  }, 15_000);

  test("on its data folder", async () => {
    const { exitCode, errors } = await serve(server.data);
    expect(exitCode).toBe(2);
    expect(errors).toEqual([`berth: ${server.data}: another server is running on this data folder`]);
  }, 15_000);

  test("and the first answers on", async () => {
    for (let request = 0; request < 20; request++) expect((await fetch(`${server.url}/v2/`)).status).toBe(401);
  });
});

describe("what the system below refuses is told in one line:", () => {
  const cases: Readonly<Record<string, (data: string) => Promise<unknown>>> = {
    "a data folder that is a file": (data) => writeFile(data, ""),
    "a database that is none": async (data) => {
      await mkdir(data);
      await writeFile(join(data, "berth.sqlite"), "no database at all ".repeat(10));
    },
  };
  for (const [name, make] of Object.entries(cases)) {
    test(
      name,
      async () => {
        const data = join(folder, name.replaceAll(" ", "-"));
        await make(data);
        const { exitCode, errors } = await serve(data);
        expect({ exitCode, lines: errors.length }).toEqual({ exitCode: 2, lines: 1 });
        expect(errors[0]).toStartWith(`berth: data: ${data}: `);
      },
      15_000,
    );
  }

  test("a command on a data folder that is not there, which it does not make", async () => {
    const data = join(folder, "mistyped");
    const { exitCode, errors } = await run("uploads", "list", "--data", data);
    expect({ exitCode, lines: errors.length }).toEqual({ exitCode: 2, lines: 1 });
    expect(await readdir(folder)).not.toContain("mistyped");
  }, 15_000);
});

const refused = async (text: string): Promise<readonly string[]> => {
  const file = join(folder, "berth.yaml");
  await writeFile(file, text);
  const { exitCode, errors } = await serve(join(folder, "unused"), "--config", file);
  expect(exitCode).toBe(2);
  return errors.map((line) => line.replace(file, "FILE"));
};

describe("a configuration file", () => {
  test("is refused with every problem and its path", async () => {
    const errors = await refused("http: {publicUrl: 'ftp://x', foo: 1}\nuploads: {maxBytes: -1}\nbar: 2\n");
    expect(errors.map((line) => line.split(": ", 2).join(": "))).toEqual([
      "berth: http.publicUrl",
      "berth: http.foo",
      "berth: uploads.maxBytes",
      "berth: bar",
    ]);
  }, 15_000);

  test("that is no YAML is refused with the place, and without its lines, which may hold secrets", async () => {
    expect(await refused('secret: "do-not-show-this\nhttp:\n  addr: x\n')).toEqual([
      'berth: FILE:4:1: Missing closing "quote',
    ]);
    expect(await refused("secret: do-not-show-this\nsecret: nor-this\n")).toEqual([
      "berth: FILE:2:1: Map keys must be unique",
    ]);
    for (const value of ["!do-not-show-this", ">do-not-show-this", "|do-not-show-this x", '"do-not-\\show-this"']) {
      const [told = "", ...more] = await refused(`secret: ${value}\n`);
      expect(told).toStartWith("berth: FILE:1:");
      expect(`${told}${more.join("")}`).not.toMatch(/do-not|how-this/);
    }
    expect(await refused("http: &a {}\naccess: *a\n")).toEqual(["berth: FILE: aliases are not understood"]);
  }, 30_000);
});

test("nobody else may read what a server writes, also in a folder that others may enter", async () => {
  const data = join(folder, "open");
  await mkdir(data, { mode: 0o755 });
  await using running = await startServer({ data });
  expect(running.url).toStartWith("http://");
  for (const name of await readdir(data)) {
    const { mode } = await stat(join(data, name));
    expect({ name, others: mode & 0o007 }).toEqual({ name, others: 0 });
  }
}, 15_000);
