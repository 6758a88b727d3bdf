import { expect, setDefaultTimeout, test } from "bun:test";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { basic } from "./protocol/registry-client.ts";
import { startServer, type TestServer } from "./support/server.ts";

setDefaultTimeout(60_000);

const berth = resolve(import.meta.dir, "../bin/berth");
const right = "a password from before";

const statusOf = async ({ url }: TestServer, name: string): Promise<number> =>
  (await fetch(`${url}/v2/`, { headers: { authorization: basic(name, right) } })).status;

async function withFile(work: (file: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "berth-htpasswd-"));
  try {
    const hash = (await Bun.password.hash(right, { algorithm: "bcrypt", cost: 5 })).replace("$2b$", "$2y$");
    await writeFile(join(folder, "htpasswd"), `ann:${hash}\nold:$apr1$x$y\n`);
    await work(join(folder, "htpasswd"));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

test("berth user import-htpasswd makes accounts beside a running server, and tells what it left out", () =>
  withFile(async (file) => {
    await using server = await startServer();
    expect(await statusOf(server, "ann")).toBe(401);
    const run = async (args: readonly string[]) => {
      const child = Bun.spawn([berth, "user", "import-htpasswd", ...args, "--data", server.data], {
        stdout: "pipe",
        stderr: "pipe",
      });
      const [out, error] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
      return { code: await child.exited, out, error };
    };
    expect(await run([file])).toEqual({
      code: 1,
      out: "created   ann\n",
      error: `berth: ${file}: line 2: the hash of old is not bcrypt, as htpasswd -B writes it\n`,
    });
    expect(await statusOf(server, "ann")).toBe(200);
    expect(JSON.parse((await run([file, "--json"])).out)).toMatchObject({ created: [], existing: ["ann"] });
    expect(await run([`${file}.none`])).toMatchObject({ code: 2, error: `berth: ${file}.none cannot be read\n` });
  }));

test("what distribution's auth.htpasswd names is there from the first start on", () =>
  withFile(async (file) => {
    await using server = await startServer({ env: { REGISTRY_AUTH: "htpasswd", REGISTRY_AUTH_HTPASSWD_PATH: file } });
    expect(await statusOf(server, "ann")).toBe(200);
    expect(await statusOf(server, "old")).toBe(401);
    await server.logged();
    const told = server.log().filter(({ event }) => event === "account created" || event === "account not created");
    expect(told).toEqual([
      expect.objectContaining({ account: "admin" }),
      expect.objectContaining({ account: "ann", file }),
      expect.objectContaining({ level: "warn", line: 2 }),
    ]);
  }));
